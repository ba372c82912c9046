"""The rooms of the house: what each folder may import, checked by test_layering.py."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Room:
    """What the files of a folder, or a file at the top of zoo/ and edge/, may import.

    Attributes:
        rooms: names of others of ours, with commas between them.
        packages: names of other people's.
        device: whether a device loads it, which has NumPy and LiteRT but no training framework.
    """

    rooms: str = ""
    packages: str = ""
    device: bool = False


# In this order no room imports one that stands below it.
ROOMS = {
    "layers": Room("", "keras numpy"),
    "zoo.printable": Room(device=True),
    "zoo.errors": Room("zoo.printable", device=True),
    "zoo.numerals": Room(device=True),
    "zoo.layer_names": Room(),
    "zoo.ways": Room(),
    "zoo.logits": Room("zoo.errors", "numpy", device=True),
    "zoo.storage": Room("zoo.errors", "numpy safetensors"),
    "zoo.tabular": Room("zoo.printable", device=True),
    "zoo.progress": Room("zoo.printable zoo.tabular", device=True),
    "zoo.worker": Room("zoo.errors", device=True),
    "zoo.backends": Room("zoo.errors", "keras"),
    "edge.precision": Room("zoo.errors", device=True),
    "zoo.tokenizers.normalizers": Room("zoo.errors", "numpy", device=True),
    "zoo.tokenizers": Room(
        "zoo.errors zoo.numerals zoo.tokenizers.normalizers", "numpy", device=True
    ),
    "zoo.tagging": Room(
        "zoo.errors zoo.tokenizers zoo.tokenizers.normalizers", "numpy", device=True
    ),
    "zoo.answering": Room("zoo.errors zoo.tagging zoo.tokenizers", "numpy", device=True),
    "zoo.scope": Room("zoo.errors", "numpy", device=True),
    "zoo.chat": Room("zoo.errors zoo.tokenizers", "jinja2", device=True),
    "zoo.media": Room("zoo.errors zoo.printable", "PIL numpy soundfile", device=True),
    "zoo.modalities": Room(
        "zoo.chat zoo.errors zoo.media zoo.printable zoo.tokenizers", "numpy", device=True
    ),
    "zoo.columns": Room(
        "zoo.errors zoo.modalities zoo.printable", "aiohttp fsspec numpy pyarrow", device=True
    ),
    "zoo.recipe": Room("zoo.columns zoo.errors"),
    "zoo.data": Room(
        "zoo.columns zoo.errors zoo.media zoo.modalities zoo.numerals zoo.printable zoo.tagging "
        "zoo.tokenizers", "numpy", device=True,
    ),
    "zoo.masking": Room(
        "zoo.data zoo.errors zoo.logits zoo.tagging zoo.tokenizers", "numpy", device=True
    ),
    "zoo.outputs": Room(
        "zoo.answering zoo.errors zoo.logits zoo.masking zoo.scope zoo.tagging", "numpy",
        device=True,
    ),
    "zoo.by_position": Room(
        "zoo.answering zoo.masking zoo.outputs zoo.tagging", "numpy", device=True
    ),
    "zoo.vocabularies": Room(
        "zoo.errors zoo.tokenizers zoo.tokenizers.normalizers", "sentencepiece"
    ),
    "zoo.distributed": Room("zoo.errors", "jax keras numpy"),
    "zoo.suited": Room("zoo.media", "numpy"),
    "zoo.models.families": Room("zoo.errors"),
    "zoo.models.families.encoders": Room("zoo.models.families"),
    "zoo.models.families.decoders": Room("zoo.models.families"),
    "zoo.models.families.encoder_decoders": Room("zoo.models.families"),
    "zoo.models.families.images": Room("zoo.models.families"),
    "zoo.models.families.sounds": Room("zoo.models.families"),
    "zoo.models": Room(
        "layers zoo.models.families zoo.models.families.decoders "
        "zoo.models.families.encoder_decoders zoo.models.families.encoders "
        "zoo.models.families.images zoo.models.families.sounds zoo.data zoo.distributed "
        "zoo.errors zoo.layer_names zoo.modalities zoo.outputs zoo.tokenizers zoo.ways",
        "keras numpy tensorflow",
    ),
    "zoo.models.embedded": Room(
        "layers zoo.data zoo.errors zoo.layer_names zoo.modalities zoo.models", "keras numpy"
    ),
    "zoo.models.several": Room("layers zoo.layer_names zoo.models", "keras"),
    "zoo.models.running": Room(
        "layers zoo.data zoo.errors zoo.layer_names zoo.modalities zoo.models zoo.tokenizers",
        "keras numpy tensorflow",
    ),
    "zoo.samples": Room("zoo.errors zoo.storage", "babel numpy sklearn"),
    "zoo.generation": Room(
        "zoo.data zoo.errors zoo.modalities zoo.tokenizers "
        "zoo.tokenizers.normalizers", "numpy", device=True
    ),
    "zoo.streaming": Room("zoo.errors zoo.media zoo.modalities zoo.outputs", "numpy", device=True),
    "zoo.chatting": Room(
        "zoo.chat zoo.errors zoo.generation zoo.modalities zoo.tokenizers", device=True
    ),
    "zoo.transcribing": Room("zoo.errors zoo.modalities", device=True),
    "zoo.matching": Room("zoo.chatting zoo.errors zoo.outputs", "numpy", device=True),
    "zoo.predictor": Room(
        "zoo.answering zoo.by_position zoo.errors zoo.generation zoo.masking zoo.matching "
        "zoo.modalities zoo.numerals zoo.outputs zoo.streaming zoo.tagging zoo.tokenizers "
        "zoo.transcribing", "numpy", device=True,
    ),
    "edge.runtime.checks": Room(
        "zoo.errors zoo.outputs", "ai_edge_litert numpy tensorflow_text", device=True
    ),
    "edge.runtime": Room(
        "edge.runtime.checks zoo.data zoo.errors zoo.generation zoo.modalities zoo.outputs "
        "zoo.predictor zoo.tagging zoo.tokenizers zoo.worker",
        "ai_edge_litert numpy tensorflow_text", device=True,
    ),
    "zoo.evaluation": Room(
        "zoo.columns zoo.data zoo.errors zoo.generation zoo.modalities zoo.outputs zoo.tagging "
        "zoo.tokenizers zoo.tokenizers.normalizers", "jiwer keras numpy sacrebleu scipy sklearn",
    ),
    "zoo.prepared": Room(
        "zoo.columns zoo.data zoo.errors zoo.modalities zoo.progress zoo.recipe zoo.storage "
        "zoo.tokenizers zoo.worker", "numpy",
    ),
    "zoo.losses": Room("layers zoo.answering zoo.data zoo.errors", "keras"),
    "zoo.augmentation": Room("zoo.data zoo.errors zoo.modalities", "keras numpy"),
    "zoo.tasks": Room(
        "zoo.answering zoo.augmentation zoo.columns zoo.data zoo.errors zoo.evaluation "
        "zoo.generation zoo.logits zoo.losses zoo.modalities zoo.models zoo.models.running "
        "zoo.numerals zoo.outputs zoo.predictor zoo.prepared zoo.progress zoo.scope zoo.suited "
        "zoo.tabular zoo.tokenizers zoo.vocabularies", "keras numpy",
    ),
    "zoo.tasks.tagging": Room(
        "zoo.data zoo.errors zoo.evaluation zoo.generation zoo.logits zoo.losses zoo.modalities "
        "zoo.models zoo.models.running zoo.outputs zoo.progress zoo.suited zoo.tagging zoo.tasks "
        "zoo.vocabularies", "keras numpy",
    ),
    "zoo.tasks.answering": Room(
        "zoo.answering zoo.data zoo.errors zoo.evaluation zoo.generation zoo.logits zoo.losses "
        "zoo.modalities zoo.models zoo.outputs zoo.suited zoo.tagging zoo.tasks "
        "zoo.tasks.tagging zoo.vocabularies", "numpy",
    ),
    "zoo.tasks.masked": Room(
        "zoo.by_position zoo.data zoo.errors zoo.evaluation zoo.generation zoo.logits zoo.losses "
        "zoo.masking zoo.modalities zoo.models zoo.models.running zoo.outputs zoo.progress "
        "zoo.tasks zoo.tokenizers", "keras numpy",
    ),
    "zoo.tasks.transcription": Room(
        "zoo.data zoo.errors zoo.evaluation zoo.modalities zoo.progress zoo.tasks zoo.tokenizers",
        "keras numpy",
    ),
    "zoo.tasks.multi_task": Room(
        "zoo.columns zoo.data zoo.errors zoo.evaluation zoo.generation zoo.modalities zoo.models "
        "zoo.outputs zoo.progress zoo.tasks", "keras numpy",
    ),
    "zoo.tasks.matching": Room(
        "zoo.data zoo.errors zoo.evaluation zoo.generation zoo.logits zoo.losses zoo.modalities "
        "zoo.models zoo.models.running zoo.outputs zoo.tasks zoo.tasks.multi_task",
        "keras numpy",
    ),
    "zoo.head_view": Room("zoo.errors zoo.models zoo.tasks.multi_task"),
    "edge.tflite": Room(
        "edge.precision edge.runtime layers zoo.errors zoo.models",
        "ai_edge_litert flatbuffers keras numpy",
    ),
    "zoo.checkpoint_config": Room("zoo.data zoo.errors zoo.models", "numpy"),
    "zoo.training.adaptation": Room(
        "layers zoo.checkpoint_config zoo.errors zoo.models zoo.storage", "keras numpy"
    ),
    "zoo.checkpoint": Room(
        "zoo.checkpoint_config zoo.data zoo.errors zoo.evaluation zoo.generation zoo.head_view "
        "zoo.modalities zoo.models zoo.models.running zoo.outputs zoo.predictor zoo.recipe "
        "zoo.storage zoo.tabular zoo.tagging zoo.tasks zoo.training.adaptation zoo.vocabularies",
        "keras numpy",
    ),
    "zoo.prune_vocabulary": Room(
        "zoo.checkpoint zoo.data zoo.errors zoo.modalities zoo.models zoo.outputs zoo.recipe "
        "zoo.tasks zoo.tokenizers", "numpy",
    ),
    "zoo.pretrained.vocabularies": Room(
        "zoo.errors zoo.tokenizers zoo.tokenizers.normalizers zoo.vocabularies", "numpy"
    ),
    "zoo.pretrained": Room(
        "layers zoo.chat zoo.checkpoint zoo.checkpoint_config zoo.data zoo.errors zoo.modalities "
        "zoo.models zoo.models.embedded zoo.models.families zoo.outputs "
        "zoo.pretrained.vocabularies zoo.prune_vocabulary zoo.recipe zoo.storage zoo.tasks "
        "zoo.tasks.answering zoo.tasks.tagging zoo.tasks.transcription zoo.tokenizers "
        "zoo.training.adaptation zoo.vocabularies",
        "huggingface_hub keras ml_dtypes numpy safetensors tensorflow torch",
    ),
    "zoo.named": Room("zoo.errors zoo.models zoo.pretrained zoo.tabular zoo.tasks", "keras"),
    "zoo.training.several": Room(
        "zoo.errors zoo.layer_names zoo.modalities zoo.models zoo.ways", "keras"
    ),
    "zoo.training.memory": Room("layers zoo.errors zoo.losses zoo.models zoo.ways", "jax keras"),
    "zoo.training.watched": Room("zoo.data zoo.errors zoo.models", "jax keras numpy tensorflow"),
    "zoo.training.chosen": Room(
        "zoo.data zoo.errors zoo.media zoo.modalities zoo.models zoo.pretrained zoo.progress "
        "zoo.recipe zoo.suited zoo.tasks zoo.tokenizers.normalizers",
    ),
    "zoo.training": Room(
        "layers zoo.augmentation zoo.backends zoo.checkpoint zoo.checkpoint_config zoo.columns "
        "zoo.data zoo.distributed zoo.errors zoo.evaluation zoo.losses zoo.modalities "
        "zoo.models zoo.models.embedded zoo.models.running zoo.outputs zoo.prepared "
        "zoo.pretrained zoo.progress zoo.prune_vocabulary zoo.recipe zoo.storage zoo.tabular "
        "zoo.tasks zoo.tasks.masked zoo.tasks.matching zoo.tasks.multi_task zoo.tokenizers "
        "zoo.training.adaptation zoo.training.chosen zoo.training.memory zoo.training.several "
        "zoo.training.watched zoo.vocabularies",
        "keras numpy",
    ),
    "zoo.sweep": Room(
        "zoo.backends zoo.checkpoint zoo.columns zoo.data zoo.distributed zoo.errors "
        "zoo.evaluation zoo.models zoo.prepared zoo.progress zoo.recipe zoo.storage zoo.tabular "
        "zoo.tasks zoo.training",
    ),
    "zoo.fusion": Room(
        "zoo.answering zoo.checkpoint zoo.data zoo.errors zoo.layer_names zoo.logits zoo.models "
        "zoo.models.running zoo.outputs "
        "zoo.pretrained zoo.recipe zoo.storage zoo.tasks zoo.tasks.multi_task zoo.training "
        "zoo.ways",
        "numpy scipy",
    ),
    "edge.graphs": Room(
        "edge.runtime layers zoo.checkpoint zoo.modalities zoo.models zoo.models.running "
        "zoo.tasks.multi_task", "keras numpy tensorflow",
    ),
    "edge.load": Room(
        "edge.runtime zoo.checkpoint zoo.errors zoo.models zoo.predictor zoo.pretrained"
    ),
    "edge.arm64": Room("edge.runtime zoo.errors zoo.storage zoo.tabular", "ai_edge_litert numpy"),
    "edge.integers": Room("edge.runtime layers zoo.errors zoo.tokenizers", "numpy tensorflow"),
    "edge.compress": Room(
        "layers zoo.backends zoo.checkpoint zoo.data zoo.distributed zoo.errors zoo.models "
        "zoo.pretrained zoo.progress zoo.recipe zoo.tasks zoo.training",
        "jax keras numpy tensorflow tensorflow_model_optimization",
    ),
    "edge.quantize": Room(
        "edge.compress edge.precision layers zoo.backends zoo.checkpoint zoo.data zoo.errors "
        "zoo.models zoo.models.running zoo.pretrained zoo.progress zoo.recipe zoo.training",
        "keras numpy tensorflow tensorflow_model_optimization",
    ),
    "edge.distill": Room(
        "edge.compress edge.precision edge.quantize layers zoo.backends zoo.chat zoo.checkpoint "
        "zoo.data zoo.errors zoo.modalities zoo.models zoo.pretrained zoo.progress zoo.recipe "
        "zoo.tasks zoo.training zoo.training.chosen", "keras",
    ),
    "edge.convert": Room(
        "edge.precision edge.quantize edge.tflite layers zoo.by_position zoo.checkpoint zoo.data "
        "zoo.errors zoo.modalities zoo.models zoo.models.running zoo.storage",
        "keras tensorflow",
    ),
    "edge.compare": Room(
        "edge.convert edge.graphs edge.integers edge.load edge.precision edge.runtime "
        "edge.runtime.checks edge.tflite layers zoo.backends zoo.checkpoint zoo.data zoo.errors "
        "zoo.evaluation zoo.generation zoo.layer_names zoo.masking zoo.modalities zoo.models "
        "zoo.models.running zoo.outputs zoo.predictor zoo.pretrained zoo.storage zoo.tabular "
        "zoo.tasks zoo.tokenizers",
        "ai_edge_litert keras numpy",
    ),
    "edge.publish": Room(
        "edge.runtime zoo.checkpoint zoo.errors zoo.models zoo.outputs zoo.printable "
        "zoo.prune_vocabulary"
    ),
    "edge.targets": Room(
        "edge.compare edge.convert edge.graphs edge.precision edge.publish edge.quantize "
        "edge.runtime edge.tflite layers zoo.backends zoo.checkpoint zoo.data zoo.errors "
        "zoo.head_view zoo.modalities zoo.models zoo.numerals zoo.outputs zoo.pretrained "
        "zoo.progress zoo.prune_vocabulary zoo.scope zoo.storage zoo.tokenizers "
        "zoo.tokenizers.normalizers",
        "ai_edge_litert flatbuffers keras numpy tensorflow tensorflow_text tflite_micro",
    ),
    "edge.targets.exported": Room(
        "edge.compare edge.convert edge.graphs edge.precision edge.publish edge.runtime "
        "edge.targets layers zoo.checkpoint zoo.data zoo.errors zoo.models zoo.models.running "
        "zoo.storage zoo.tasks",
        "keras numpy onnx onnxruntime safetensors tensorflow tf2onnx torch",
    ),
    "edge.targets.litertlm": Room(
        "edge.compare edge.convert edge.graphs edge.precision edge.runtime edge.targets "
        "edge.targets.exported edge.tflite zoo.chat zoo.checkpoint zoo.errors zoo.generation "
        "zoo.storage zoo.tokenizers zoo.vocabularies",
        "ai_edge_litert keras litert_lm litert_lm_builder numpy tensorflow",
    ),
    "edge.targets.mediapipe": Room(
        "edge.compare edge.graphs edge.precision edge.runtime edge.targets edge.tflite "
        "zoo.checkpoint zoo.modalities zoo.models zoo.numerals zoo.outputs zoo.tokenizers",
        "ai_edge_litert keras",
    ),
    "edge.targets.micro": Room(
        "edge.convert edge.runtime edge.targets edge.tflite zoo.checkpoint zoo.data zoo.errors "
        "zoo.modalities zoo.outputs zoo.storage zoo.streaming zoo.tokenizers "
        "zoo.tokenizers.normalizers", "ai_edge_litert numpy tflite_micro",
    ),
    "edge.targets.ethos": Room(
        "edge.compare edge.convert edge.runtime edge.targets edge.targets.micro edge.tflite "
        "zoo.checkpoint zoo.errors zoo.modalities zoo.storage", "ai_edge_litert numpy",
    ),
    "edge.choose": Room(
        "edge.arm64 edge.compare edge.compress edge.convert edge.precision edge.quantize "
        "edge.runtime edge.targets layers zoo.backends zoo.checkpoint zoo.data zoo.errors "
        "zoo.evaluation zoo.models zoo.models.running zoo.pretrained zoo.progress zoo.recipe "
        "zoo.storage zoo.tabular zoo.training", "keras matplotlib",
    ),
    "edge.diagnose": Room(
        "edge.choose zoo.data zoo.errors zoo.evaluation zoo.outputs zoo.predictor zoo.storage "
        "zoo.tabular zoo.tagging zoo.tasks", "numpy",
    ),
    "edge.demo": Room(
        "edge.runtime zoo.errors zoo.outputs zoo.printable zoo.storage zoo.tagging zoo.tokenizers "
        "zoo.tokenizers.normalizers"
    ),
    "edge.quickstart": Room(
        "edge.compare edge.precision edge.quantize edge.runtime edge.targets zoo.backends "
        "zoo.data zoo.predictor zoo.progress zoo.recipe zoo.samples zoo.storage zoo.tasks "
        "zoo.training",
        "sklearn",
    ),
}  # fmt: skip
MAX_FILES_IN_A_ROOM = 14
