"""Judge a model: is it good enough to be deployed?"""
