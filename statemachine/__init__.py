"""The workflow: a Step Functions state machine, authored in Python with the Data Science SDK."""
