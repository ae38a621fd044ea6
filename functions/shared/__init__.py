"""What several functions share: one definition per document, key and call.

Every function is deployed with this package (docs/decisions/0017). It imports no function.
"""
