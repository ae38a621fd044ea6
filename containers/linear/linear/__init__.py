"""Linear text classifier on hashed n-grams: training, saved model and prediction."""
