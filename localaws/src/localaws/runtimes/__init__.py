"""How a container runs.

`process` runs an image's folder as a process of this machine, without Docker; `oci` runs the image itself, by
whichever engine is at hand.
"""
