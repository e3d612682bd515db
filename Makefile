PYTHON ?= python3
PY := .venv/bin/python

.PHONY: demo test clean

# Fine-tunes a small ELMER on descriptions of web services: data, training, generation, scores.
demo: .venv/ready dataset/apidoc/train.src
	$(PY) run_textbox.py --model=ELMER --dataset=apidoc

test: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -n 2 --dist loadfile

.venv/ready: requirements.txt requirements-extras.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 10) else "textbox-elmer needs Python 3.10 or later; name one by: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

# Depends on the environment: the dataset is made of a package in it.
dataset/apidoc/train.src: .venv/ready
	$(PY) -m textbox_elmer data apidoc

clean:
	rm -rf .venv build dist *.egg-info
