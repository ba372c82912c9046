from keras_transformer.attention import MultiHeadAttention as MultiHeadAttention
from keras_transformer.blocks import DecoderBlock as DecoderBlock
from keras_transformer.blocks import EncoderBlock as EncoderBlock
from keras_transformer.convolution import Convolution as Convolution
from keras_transformer.convolutional_tokenizer import (
    ConvolutionalTokenizer as ConvolutionalTokenizer,
)
from keras_transformer.dropout import Dropout as Dropout
from keras_transformer.dropout import StochasticDepth as StochasticDepth
from keras_transformer.edge.choose.fastest import fastest as fastest
from keras_transformer.edge.choose.mixed import mixed as mixed
from keras_transformer.edge.choose.search import search as search
from keras_transformer.edge.choose.sensitivity import sensitivity as sensitivity
from keras_transformer.edge.compare.benchmark import benchmark as benchmark
from keras_transformer.edge.compare.compare import compare as compare
from keras_transformer.edge.compare.inspect import inspect as inspect
from keras_transformer.edge.compare.significance import significance as significance
from keras_transformer.edge.compress.prune import prune as prune
from keras_transformer.edge.distill.distill import distill as distill
from keras_transformer.edge.load import load as load
from keras_transformer.edge.quantize.qat import quantize as quantize
from keras_transformer.edge.runtime.runner import Runner as Runner
from keras_transformer.edge.targets.convert import convert as convert
from keras_transformer.embeddings import (
    SegmentEmbedding as SegmentEmbedding,
)
from keras_transformer.embeddings import (
    TokenEmbedding as TokenEmbedding,
)
from keras_transformer.feedforward import FeedForward as FeedForward
from keras_transformer.low_rank import LowRankProjection as LowRankProjection
from keras_transformer.masks import attention_bias as attention_bias
from keras_transformer.masks import causal_bias as causal_bias
from keras_transformer.normalization import LayerNorm as LayerNorm
from keras_transformer.normalization import RMSNorm as RMSNorm
from keras_transformer.positions import (
    AlibiBias as AlibiBias,
)
from keras_transformer.positions import (
    LearnedPositionalEncoding as LearnedPositionalEncoding,
)
from keras_transformer.positions import (
    RelativePositionBias as RelativePositionBias,
)
from keras_transformer.positions import (
    SinusoidalPositionalEncoding as SinusoidalPositionalEncoding,
)
from keras_transformer.quantization import Projection as Projection
from keras_transformer.quantization import QuantPoint as QuantPoint
from keras_transformer.residual import Residual as Residual
from keras_transformer.rotary import RotaryEmbedding as RotaryEmbedding
from keras_transformer.stacks import Decoder as Decoder
from keras_transformer.stacks import Encoder as Encoder
from keras_transformer.zoo.answering.answers import Answer as Answer
from keras_transformer.zoo.checkpoint import Checkpoint as Checkpoint
from keras_transformer.zoo.distributed.devices import distributed as distributed
from keras_transformer.zoo.errors import InputError as InputError
from keras_transformer.zoo.errors import RunError as RunError
from keras_transformer.zoo.fusion.fuse import fuse as fuse
from keras_transformer.zoo.masking.fills import Filled as Filled
from keras_transformer.zoo.masking.replacements import ReplacedPieces as ReplacedPieces
from keras_transformer.zoo.models.config import TransformerConfig as TransformerConfig
from keras_transformer.zoo.named import build as build
from keras_transformer.zoo.named import models as models
from keras_transformer.zoo.outputs import LabelSet as LabelSet
from keras_transformer.zoo.outputs import Prediction as Prediction
from keras_transformer.zoo.outputs import Vector as Vector
from keras_transformer.zoo.progress import Report as Report
from keras_transformer.zoo.recipe import Recipe as Recipe
from keras_transformer.zoo.sweep.sweep import sweep as sweep
from keras_transformer.zoo.tagging.decoding import Tagged as Tagged
from keras_transformer.zoo.tagging.decoding import TaggedSpan as TaggedSpan
from keras_transformer.zoo.tasks.answering.question_answering import (
    QuestionAnswering as QuestionAnswering,
)
from keras_transformer.zoo.tasks.classification import Classification as Classification
from keras_transformer.zoo.tasks.embedding import Embedding as Embedding
from keras_transformer.zoo.tasks.language_modeling import LanguageModeling as LanguageModeling
from keras_transformer.zoo.tasks.masked.masked_language_modeling import (
    MaskedLanguageModeling as MaskedLanguageModeling,
)
from keras_transformer.zoo.tasks.matching.contrastive import Contrastive as Contrastive
from keras_transformer.zoo.tasks.measure import evaluate as evaluate
from keras_transformer.zoo.tasks.multi_label import MultiLabel as MultiLabel
from keras_transformer.zoo.tasks.multi_task.multi_task import MultiTask as MultiTask
from keras_transformer.zoo.tasks.regression import Regression as Regression
from keras_transformer.zoo.tasks.tagging.token_classification import (
    TokenClassification as TokenClassification,
)
from keras_transformer.zoo.tasks.task import Task as Task
from keras_transformer.zoo.tasks.transcription.transcription import Transcription as Transcription
from keras_transformer.zoo.tasks.translation import Translation as Translation
from keras_transformer.zoo.training.train import prepare as prepare
from keras_transformer.zoo.training.train import train as train
