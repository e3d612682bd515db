"""Every configuration key that the host itself knows: TextBox's names, their kinds and limits."""

from dataclasses import dataclass
from typing import Any

GROUPS = ("General", "Training", "Evaluation", "Model", "Dataset")


@dataclass(frozen=True)
class Key:
    """What a key's value must be.

    Attributes:
        group: the heading that the configuration is shown under.
        kind: "int", "float", "bool", "str", "list" (of strings), "dict", or "count" (a boolean or a whole number).
        meaning: one line for the reader.
        minimum: the least number allowed; "above" says that the number itself is not.
        above: whether the minimum is excluded.
        maximum: the largest number allowed.
        choices: the allowed words, in lower case.
    """

    group: str
    kind: str
    meaning: str
    minimum: float | None = None
    above: bool = False
    maximum: float | None = None
    choices: tuple[str, ...] = ()


def _keys(group: str, **keys: tuple) -> dict[str, Key]:
    return {name: Key(group, *spec[:2], **(spec[2] if len(spec) > 2 else {})) for name, spec in keys.items()}


POSITIVE: dict[str, Any] = {"minimum": 1}
NOT_NEGATIVE: dict[str, Any] = {"minimum": 0}
ABOVE_ZERO: dict[str, Any] = {"minimum": 0, "above": True}
PROBABILITY: dict[str, Any] = {"minimum": 0, "maximum": 1}
# numpy's random numbers take seeds of 32 bits.
SEED: dict[str, Any] = {"minimum": 0, "maximum": 2**32 - 1}


def _one_of(*words: str) -> dict[str, Any]:
    return {"choices": words}


KEYS: dict[str, Key] = {
    **_keys(
        "General",
        seed=("int", "seed of all random numbers", SEED),
        reproducibility=("bool", "prefer deterministic GPU kernels"),
        use_gpu=("bool", "train on a GPU where there is one"),
        gpu_id=("str", "which GPU, or several: 0,1"),
        state=("str", "least severe messages shown", _one_of("debug", "info", "warning", "error", "critical")),
        saved_dir=("str", "where runs leave their folders"),
        filename=("str", "the run's folder below saved_dir; by default model, dataset and time"),
        quick_test=("count", "use the first 32 (or that many) examples of each split", NOT_NEGATIVE),
        wandb=("str", "send curves to Weights & Biases", _one_of("disabled", "offline", "online")),
        disable_tqdm=("bool", "draw no progress bars"),
    ),
    **_keys(
        "Training",
        do_train=("bool", "train"),
        pretrain_task=("str", "pre-train on raw text instead of fine-tuning", _one_of("disabled", "lplm", "denoising")),
        mask_ratio=("float", "pre-training: share of a text's words that are hidden", PROBABILITY),
        poisson_lambda=("float", "pre-training: mean length of a hidden span in words", ABOVE_ZERO),
        do_valid=("bool", "validate during training and keep the best checkpoint"),
        epochs=("int", "passes over the training data", POSITIVE),
        max_steps=("int", "optimizer steps, instead of epochs", POSITIVE),
        train_batch_size=("int", "examples per device in a forward pass", POSITIVE),
        accumulation_steps=("int", "forward passes per optimizer step", POSITIVE),
        learning_rate=("float", "the highest learning rate", ABOVE_ZERO),
        optimizer=("str", "optimizer", _one_of("adamw", "adam", "sgd", "adagrad", "rmsprop", "adafactor")),
        optimizer_kwargs=("dict", "further arguments of the optimizer"),
        adafactor_kwargs=("dict", "arguments of Adafactor"),
        scheduler=("str", "learning-rate schedule", _one_of("linear", "cosine", "inverse", "constant")),
        scheduler_kwargs=("dict", "init_lr, max_lr, n_warmup_steps, max_steps of the schedule"),
        glancing=(
            "float",
            "ELMER: share of its wrong tokens that training shows a text at first; by default 0",
            PROBABILITY,
        ),
        glancing_end=(
            "float",
            "ELMER: the same at the end, by default a fifth; it changes evenly between",
            PROBABILITY,
        ),
        weight_decay=("float", "weight decay; by default the optimizer's own", NOT_NEGATIVE),
        grad_clip=("float", "largest gradient norm", ABOVE_ZERO),
        label_smoothing=("float", "probability spread over the vocabulary in the loss", PROBABILITY),
        valid_strategy=("str", "validate by epochs or steps", _one_of("epoch", "step")),
        valid_steps=("int", "epochs or steps between validations", POSITIVE),
        stopping_steps=("int", "validations without a new best before stopping; 0 never stops", NOT_NEGATIVE),
        max_save=("int", "checkpoints kept, checkpoint_best among them; -1 keeps all", {"minimum": -1}),
        resume_training=("bool", "go on when model_path is a checkpoint of a stopped training"),
        dataloader_num_workers=("int", "processes that prepare batches beside the training", NOT_NEGATIVE),
        find_unused_parameters=("bool", "for distributed runs whose loss leaves parameters out"),
    ),
    **_keys(
        "Evaluation",
        do_test=("bool", "test at the end"),
        eval_batch_size=("int", "examples per device in validation and test", POSITIVE),
        bf16_full_eval=("bool", "test in bfloat16: faster, but some texts change"),
        metrics=("list", "what to score"),
        metrics_for_best_model=("list", "metrics whose sum selects the best checkpoint, or loss"),
        lower_evaluation=("bool", "score in lower case"),
        remove_punc=("bool", "score without punctuation"),
        multiref_strategy=("str", "how several references count", _one_of("max", "leave_one_out")),
        bleu_max_ngrams=("int", "longest n-gram of BLEU", POSITIVE),
        bleu_type=("str", "implementation of BLEU"),
        smoothing_function=("int", "nltk's smoothing method", NOT_NEGATIVE),
        corpus_bleu=("bool", "BLEU of the corpus instead of the mean over texts"),
        rouge_max_ngrams=("int", "longest n-gram of ROUGE", POSITIVE),
        rouge_type=("str", "implementation of ROUGE"),
        meteor_type=("str", "implementation of METEOR"),
        corpus_meteor=("bool", "METEOR of the corpus instead of the mean over texts"),
        chrf_type=("str", "implementation of chrF"),
        distinct_max_ngrams=("int", "longest n-gram of distinct", POSITIVE),
        inter_distinct=("bool", "distinct over the corpus instead of the mean over texts"),
        unique_max_ngrams=("int", "longest n-gram of unique", POSITIVE),
        self_bleu_max_ngrams=("int", "longest n-gram of self-BLEU", POSITIVE),
    ),
    **_keys(
        "Model",
        model=("str", "the model's name"),
        model_path=("str", "a checkpoint: a folder, or a name on the hub"),
        config_path=("str", "a model configuration, if not model_path's"),
        config_kwargs=("dict", "fields to set in the model's configuration"),
        tokenizer_path=("str", "a tokenizer, if not model_path's"),
        tokenizer_kwargs=("dict", "further arguments of the tokenizer"),
        generation_kwargs=("dict", "arguments of the model's generate()"),
        exit_target=(
            "float",
            "ELMER, hard exit: choose exit_threshold by this agreement with the last exit on the validation split",
            PROBABILITY,
        ),
    ),
    **_keys(
        "Dataset",
        dataset=("str", "the dataset's folder below data_path"),
        data_path=("str", "where datasets lie"),
        pack_texts=("bool", "pre-training: put short texts together until they fill src_len"),
        skip_bad_files=("bool", "pre-training: leave out files that cannot be read"),
        src_len=("int", "longest source in tokens, prompts and special tokens included", POSITIVE),
        tgt_len=("int", "longest target in tokens, special tokens included; the canvas's length", POSITIVE),
        truncate=("str", "which end of a long text goes", _one_of("tail", "head")),
        prefix_prompt=("str", "text before every source"),
        suffix_prompt=("str", "text after every source"),
        src_lang=("str", "language of the sources"),
        tgt_lang=("str", "language of the targets"),
    ),
}

# A model's own fields whose values are words are checked here too, so that a slip is found before any work is done.
MODEL_KEYS: dict[str, Key] = _keys(
    "Model",
    exit_mode=("str", "where tokens leave the decoder", _one_of("soft", "hard", "last")),
    exit_criterion=("str", "what hard exit is sure by", _one_of("entropy", "saturation", "classifier")),
    exit_threshold=(
        "float",
        "hard exit: entropy in nats below which a token leaves, or confidence from which on",
        NOT_NEGATIVE,
    ),
    alignment=("str", "how canvas positions and tokens belong together", _one_of("position", "dag", "ctc")),
    canvas_scale=("float", "canvas positions per token of tgt_len", {"minimum": 1, "maximum": 8}),
    canvas_input=("str", "what the decoder reads: masks, or the source spread over them", _one_of("mask", "source")),
    copy_source=("bool", "words may be copied from the source"),
    normalize_before=("bool", "layer norms before attention and feed-forward instead of behind"),
    gold_mixing=("float", "probability of the gold token in soft training", PROBABILITY),
    vocab_size=("int", "tokens in the vocabulary", POSITIVE),
)

# What no run can do without: null is refused for these.
REQUIRED = (
    *("seed", "state", "saved_dir", "data_path", "src_len", "tgt_len", "truncate"),
    *("pretrain_task", "mask_ratio", "poisson_lambda", "dataloader_num_workers"),
    *("epochs", "train_batch_size", "accumulation_steps", "learning_rate", "optimizer"),
    *("valid_strategy", "valid_steps", "eval_batch_size", "metrics", "multiref_strategy", "smoothing_function"),
    *("bleu_type", "rouge_type", "meteor_type", "chrf_type"),
    *(f"{family}_max_ngrams" for family in ("bleu", "rouge", "distinct", "unique", "self_bleu")),
)

NOT_OFFERED = frozenset(
    [
        "efficient_methods",
        "efficient_kwargs",
        "efficient_unfreeze_model",
        "email",
        "is_chinese_task",
        "lightweight_tuning",
        "post_processing",
        "tokenizer_add_tokens",
        "romanian_postprocessing",
        "sacrebleu_romanian",
        "src_vocab_size",
        "tgt_vocab_size",
        "tokenize_strategy",
        "decoding_strategy",
        "beam_size",
        "n_grams",
        "device",
        "bert_score_model_type",
        "model_name",
    ]
)
