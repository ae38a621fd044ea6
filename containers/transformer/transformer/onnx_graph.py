"""Export an ONNX graph for CPUs whose weights stay in model.safetensors, so that none is stored twice."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

FILE = "model.onnx"
WEIGHTS = "model.safetensors"
HEADER_BYTES = 8  # a safetensors file starts with the size of its header


def export(model: Any, folder: Path) -> None:
    """Write model.onnx beside model.safetensors.

    Its inputs are input_ids and attention_mask, int64 of shape (texts, tokens); its output is logits, of
    shape (texts, labels).
    """
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # warns that torchvision is missing
    ids = torch.zeros(2, 8, dtype=torch.int64)
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.to("cpu").eval(),
            kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes={name: {0: texts, 1: tokens} for name in ("input_ids", "attention_mask")},
            dynamo=True,
            optimize=False,  # would rename and merge the weights
            verbose=False,
        )
    reference_weights(program.model, folder / WEIGHTS)
    program.save(folder / FILE)


def reference_weights(graph: Any, weights: Path) -> None:
    """Replace the weights by references into a file of the same folder, and remove source locations."""
    import onnx_ir

    for node in graph.graph.all_nodes():
        node.metadata_props.clear()
    with weights.open("rb") as file:
        size = int.from_bytes(file.read(HEADER_BYTES), "little")
        stored = json.loads(file.read(size))
    for name, value in graph.graph.initializers.items():
        if name in stored:
            begin, end = stored[name]["data_offsets"]
            value.const_value = onnx_ir.ExternalTensor(
                weights.name,
                HEADER_BYTES + size + begin,
                end - begin,
                value.const_value.dtype,
                shape=value.const_value.shape,
                name=name,
                base_dir=weights.parent,
            )
