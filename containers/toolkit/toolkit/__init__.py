"""What the containers of text classifiers share: the training job's frame, and the server."""
