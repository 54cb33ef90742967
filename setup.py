"""The package: what it needs, as ranges. The versions that it is tested with are pinned in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

CORE = [
    "torch>=2.4,<3",
    "numpy>=1.26",
    "lhotse>=1.33",
    "urllib3",  # imported by Lhotse 1.33, which does not declare it
    "sentencepiece>=0.2",
    "tensorboard>=2.16",
    "pydantic>=2.7,<3",
    "PyYAML>=6",
    "rich>=13",
    "soundfile>=0.12",
    "soxr>=0.3.7",
    "safetensors>=0.4",
    "filelock>=3.12",
    "kaldialign>=0.9",
    "kaldi-native-fbank>=1.20",
    "numba>=0.60",
    "espeakng-loader>=0.2.4",  # espeak-ng as a wheel: the voice of the built-in corpus, and IPA
]
GRAPH = ["kaldifst>=1.8"]  # OpenFst as a wheel, with which decoding graphs are composed
# Mandarin, and F0 by WORLD, whose package still imports pkg_resources.
TTS = ["pypinyin>=0.50", "pyworld>=0.3.4", "setuptools<81"]
TEST = ["pytest>=8", "pytest-xdist>=3.5", "jiwer>=3", *GRAPH, "kaldi-decoder>=0.3", *TTS]
EXTRAS = {
    "tts": TTS,
    "graph": GRAPH,
    "export": ["onnx", "onnxscript", "onnxruntime"],
    "serve": ["fastapi", "uvicorn", "websockets", "prometheus-client"],
    "scale": ["dask[distributed]", "fsspec", "s3fs"],
    "hub": ["huggingface_hub"],
    "k2": ["k2"],
    "torchaudio": ["torchaudio"],
    "kaldifeat": ["kaldifeat"],
    "test": TEST,
    "dev": [*TEST, "ruff"],
}

setup(
    name="speechkit",
    version=re.search(r'__version__ = "(.+)"', (ROOT / "speechkit/__init__.py").read_text(encoding="utf-8"))[1],
    description="Recipes that take a folder of recordings to a recogniser or a voice",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["speechkit", "speechkit.*"]),
    package_data={"speechkit": [f"**/*.{kind}" for kind in ("yaml", "txt", "tsv", "json", "html", "css", "js")]},
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["speechkit = speechkit.cli.main:main"]},
)
