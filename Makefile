PYTHON ?= python3
PY := .venv/bin/python

.PHONY: demo test clean

# Fine-tunes a small ELMER on the docstrings of this machine: data, training, generation, scores.
demo: .venv/ready dataset/pydoc/train.src
	$(PY) run_textbox.py --model=ELMER --dataset=pydoc

test: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pytest

.venv/ready: requirements.txt requirements-extras.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 10) else "textbox-elmer needs Python 3.10 or later; name one by: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

# Depends on the environment's versions: the dataset is made of the docstrings that they carry.
dataset/pydoc/train.src: .venv/ready
	$(PY) -m textbox_elmer data pydoc

clean:
	rm -rf .venv build dist *.egg-info
