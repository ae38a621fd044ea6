"""What the containers of text classifiers share: running a training job, and the model server."""
