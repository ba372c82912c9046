"""The hosts that a file can be written for, by the name of the bundle."""

from keras_transformer.edge.mediapipe import MediaPipe
from keras_transformer.edge.micro import Micro
from keras_transformer.edge.target import Target
from keras_transformer.edge.text_graph import TextGraph

TARGETS = {target.name: target for target in (Target, MediaPipe, TextGraph, Micro)}
