"""The model's runtime for MLServer."""

from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from linear.model import load


class Linear(MLModel):  # type: ignore[misc]
    """Classify texts."""

    async def load(self) -> bool:
        """Load the model."""
        self.classifier = load(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the labels of texts and their probabilities."""
        texts = StringCodec.decode_input(payload.inputs[0])
        probabilities = self.classifier.predict(texts)
        labels = [self.classifier.labels[place] for place in probabilities.argmax(axis=1)]
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                StringCodec.encode_output("label", labels),
                NumpyCodec.encode_output("probability", probabilities.max(axis=1)),
            ],
        )
