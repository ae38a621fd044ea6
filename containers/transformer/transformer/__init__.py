"""Text classifier that fine-tunes a pretrained transformer: training, saved model and prediction."""
