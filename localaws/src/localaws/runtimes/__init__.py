"""Run containers.

`process` runs an image's folder as a local process, without Docker. `oci` runs the image itself with an
installed container engine.
"""
