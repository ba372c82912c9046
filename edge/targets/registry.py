"""The hosts that a file can be written for, by the name of the bundle."""

from keras_transformer.edge.targets.mediapipe import MediaPipe
from keras_transformer.edge.targets.micro import Micro
from keras_transformer.edge.targets.target import Target
from keras_transformer.edge.targets.tf_text import TextGraph

TARGETS = {target.name: target for target in (Target, MediaPipe, TextGraph, Micro)}
