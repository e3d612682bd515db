"""Every model that the host trains, found by TextBox's names, and TextBox's that it does not."""

import re
from collections.abc import Mapping

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.model_spec import CAUSAL, NAR, Format, ModelSpec
from textbox_elmer.suggest import nearest

BART_TOKENS = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
BART_TOKENS |= {"cls": "<s>", "sep": "</s>"}
T5_TOKENS = {"pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
BERT_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
GPT2_TOKENS = dict.fromkeys(("bos", "eos", "unk", "pad"), "<|endoftext|>")
OPT_TOKENS = {"pad": "<pad>", "bos": "</s>", "eos": "</s>", "unk": "<unk>"}
GPT_TOKENS = {"unk": "<unk>", "eos": "</s>", "pad": "</s>"}
CPM_TOKENS = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "cls": "<cls>", "sep": "<sep>", "pad": "<pad>"}
CPM_TOKENS |= {"mask": "<mask>"}
BLENDERBOT_SMALL_TOKENS = {"pad": "__null__", "bos": "__start__", "eos": "__end__", "unk": "__unk__"}

BART = Format("bos text eos", "bos text eos", BART_TOKENS, start="eos", forced="bos")
T5 = Format("text eos", "text eos", T5_TOKENS, start="pad")
BLENDERBOT = Format("text eos", "text eos", BART_TOKENS, start="bos")
MBART = Format("text eos src_lang", "text eos tgt_lang", BART_TOKENS, start="tgt_lang")
LANGUAGE_FIRST = ("src_lang text eos", "tgt_lang text eos", BART_TOKENS)
BERT = Format("cls text sep", "text sep", BERT_TOKENS, start="cls")
CHINESE = Format("cls text sep", "cls text sep", BERT_TOKENS, start="sep")
GPT2 = Format("text eos", "text eos", GPT2_TOKENS)
GPT = Format("text eos", "text eos", GPT_TOKENS, lacking=("eos",))

MODELS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "ELMER",
            "elmer",
            BART,
            NAR,
            checkpoints=("RUCAIBox/elmer",),
            notes="Writes all tokens at once; loads BART checkpoints too.",
        ),
        ModelSpec("BART", "bart", BART, checkpoints=("facebook/bart-base", "sshleifer/distilbart-cnn-12-6")),
        ModelSpec("T5", "t5", T5, checkpoints=("t5-small", "Langboat/mengzi-t5-base"), notes="Trained by Adafactor."),
        ModelSpec("transformer", "bart", BART, notes="A BART from scratch."),
        ModelSpec("mT5", "mt5", T5, checkpoints=("google/mt5-small",), notes="Trained by Adafactor."),
        ModelSpec("PEGASUS", "pegasus", T5, checkpoints=("google/pegasus-large",)),
        ModelSpec("PEGASUS-X", "pegasus_x", T5, also=("Pegasus_X",), checkpoints=("google/pegasus-x-base",)),
        ModelSpec(
            "LED",
            "led",
            BART,
            idle_weights=True,
            checkpoints=("allenai/led-base-16384",),
            notes="Local attention alone: as in TextBox, no token attends to all.",
        ),
        ModelSpec("MVP", "mvp", BART, checkpoints=("RUCAIBox/mvp",)),
        ModelSpec(
            "ProphetNet",
            "prophetnet",
            Format("text sep", "text sep", BERT_TOKENS, start="sep"),
            checkpoints=("microsoft/prophetnet-large-uncased",),
            notes="Learns from its next-token predictions alone, as in TextBox with label smoothing. In transformers, "
            "what it predicts for a token depends slightly on how many are read with it.",
        ),
        ModelSpec("Blenderbot", "blenderbot", BLENDERBOT, checkpoints=("facebook/blenderbot-400M-distill",)),
        ModelSpec(
            "Blenderbot-Small",
            "blenderbot-small",
            Format("text eos", "text eos", BLENDERBOT_SMALL_TOKENS, start="bos"),
            checkpoints=("facebook/blenderbot_small-90M",),
        ),
        ModelSpec(
            "BigBird-Pegasus",
            "bigbird_pegasus",
            BLENDERBOT,
            also=("BigBird_Pegasus",),
            checkpoints=("google/bigbird-pegasus-large-arxiv",),
            notes="From scratch with full attention: the block-sparse one (`--attention_type=block_sparse`, and that "
            "of published checkpoints) gives way to it for good in the first short batch.",
        ),
        ModelSpec("LongT5", "longt5", T5, checkpoints=("google/long-t5-local-base",), notes="Trained by Adafactor."),
        ModelSpec(
            "M2M-100",
            "m2m_100",
            Format(*LANGUAGE_FIRST, start="eos", forced="tgt_lang", language="__{}__"),
            also=("M2M_100",),
            checkpoints=("facebook/m2m100_418M",),
            notes="Needs `--src_lang` and `--tgt_lang`, e.g. `ro`, `en`. The published tokenizer needs the package "
            "sentencepiece.",
        ),
        ModelSpec(
            "mBART",
            "mbart",
            MBART,
            checkpoints=("facebook/mbart-large-cc25",),
            notes="Needs `--src_lang` and `--tgt_lang`, e.g. `ro_RO`, `en_XX`; mBART-50 has another format.",
        ),
        ModelSpec(
            "NLLB",
            "m2m_100",
            Format(*LANGUAGE_FIRST, start="eos", forced="tgt_lang"),
            checkpoints=("facebook/nllb-200-distilled-600M",),
            notes="Needs `--src_lang` and `--tgt_lang`, e.g. `ron_Latn`, `eng_Latn`. TextBox forces no first token, "
            "and a checkpoint as published then writes any language.",
        ),
        ModelSpec(
            "MarianMT",
            "marian",
            Format("text eos", "text eos", BART_TOKENS, start="eos"),
            also=("Marian",),
            checkpoints=("Helsinki-NLP/opus-mt-ROMANCE-en",),
            notes="Published checkpoints start from `<pad>`, and do so here. Their tokenizer needs the package "
            "sentencepiece.",
        ),
        ModelSpec(
            "BERT2BERT",
            "encoder-decoder",
            BERT,
            half="bert",
            idle_weights=True,
            checkpoints=("bert-base-uncased",),
            notes="Either half starts as the same BERT; what attends to the source starts at random.",
        ),
        ModelSpec(
            "XLM-RoBERTa",
            "encoder-decoder",
            Format("bos text eos", "bos text eos", BART_TOKENS, start="eos"),
            half="xlm-roberta",
            reserved_positions=2,
            idle_weights=True,
            checkpoints=("xlm-roberta-base",),
            notes="Two halves, as BERT2BERT. TextBox's table begins targets by `</s>`, which would end them; this is "
            "what its code does.",
        ),
        ModelSpec(
            "GPT-2",
            "gpt2",
            GPT2,
            CAUSAL,
            also=("GPT2",),
            checkpoints=("gpt2", "distilgpt2", "microsoft/DialoGPT-small"),
        ),
        ModelSpec("GPT-Neo", "gpt_neo", GPT2, CAUSAL, also=("GPT_Neo",), checkpoints=("EleutherAI/gpt-neo-125M",)),
        ModelSpec(
            "OPT",
            "opt",
            Format("bos text eos", "text eos", OPT_TOKENS),
            CAUSAL,
            checkpoints=("facebook/opt-350m",),
        ),
        ModelSpec("CTRL", "ctrl", GPT, CAUSAL, checkpoints=("ctrl",), notes="`</s>` is added to its vocabulary."),
        ModelSpec(
            "OpenAI-GPT", "openai-gpt", GPT, CAUSAL, checkpoints=("openai-gpt",), notes="`</s>` is added, as for CTRL."
        ),
        ModelSpec(
            "CPM",
            "gpt2",
            Format("text sep", "text sep", CPM_TOKENS),
            CAUSAL,
            checkpoints=("TsinghuaAI/CPM-Generate",),
            notes="Its tokenizer needs the packages sentencepiece and rjieba.",
        ),
        ModelSpec(
            "Chinese-BART",
            "bart",
            CHINESE,
            checkpoints=("fnlp/bart-base-chinese",),
            notes="The frame of its BERT tokenizer.",
        ),
        ModelSpec(
            "Chinese-Pegasus",
            "pegasus",
            CHINESE,
            checkpoints=("IDEA-CCNL/Randeng-Pegasus-238M-Summary-Chinese",),
            notes="As Chinese-BART; give `--tokenizer_kwargs={tokenizer_type: bert}` with that checkpoint.",
        ),
        ModelSpec(
            "Chinese-GPT2",
            "gpt2",
            Format("cls text sep", "cls text sep", BERT_TOKENS),
            CAUSAL,
            checkpoints=("ckiplab/gpt2-base-chinese",),
            notes="As Chinese-BART.",
        ),
    )
}

FORK = "needs TextBox's fork of transformers"
ELSEWHERE: Mapping[str, str] = {
    "UniLM": FORK,
    "MASS": FORK,
    "CPT": FORK,
    "XLM": "has no decoder in transformers 5",
    "XLM-ProphetNet": "has left transformers in version 5",
}


def find_model(name: str) -> ModelSpec:
    """Return the registered model called `name`, whatever its case, hyphens and underscores.

    Raises:
        UserError: no such model, or one that runs in TextBox alone.
    """
    wanted = _plain(name)
    for spec in MODELS.values():
        if wanted in map(_plain, spec.names):
            return spec
    for other, reason in ELSEWHERE.items():
        if wanted == _plain(other):
            raise UserError(
                f"{other} {reason}: run it in TextBox itself, by --textbox_home=<the folder of a TextBox checkout>."
            )
    guess = nearest(name, [*(known for spec in MODELS.values() for known in spec.names), *ELSEWHERE])
    hint = f" Did you mean {guess}?" if guess else ""
    raise UserError(f"There is no model called {name!r}.{hint} The models are {', '.join(MODELS)}.")


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name.lower())
