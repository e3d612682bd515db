#!/usr/bin/env bash
# Writes the tables that need a CUDA device into saved/gpu, in under 25 minutes.
#
#   benchmarks/gpu.sh                    latency, training, quality-position, quality-dag
#   benchmarks/gpu.sh latency training   some of them
#   DRY=1 benchmarks/gpu.sh              the same commands in small, on the CPU
#
# PYTHON names another Python than .venv's, DATA another folder than `dataset`, OUT another than `saved/gpu`. What takes
# longer than its share, or fails, does not keep the rest from being written; the exit status is 1 then. A quality table
# that was stopped goes on when it is asked for again.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python} data=${DATA:-dataset} out=${OUT:-saved/gpu}
if [[ ${DRY:-} ]]; then
    device=cpu gpu=False precision=float32 batches=1 found=True
    sizes=(--layers=2 --d_model=128 --vocab_size=300 --rounds=1)
    training=(--batch_size=2 --source=16 --target=8 --text=16)
    quality=(--layers=1 --d_model=16 --steps=6 --batch_size=4 --text_len=12 --src_len=12)
else
    device=cuda gpu=True precision=float16 batches=1,256 found='ctranslate2.get_cuda_device_count()'
    sizes=(--rounds=10)
    training=(--batch_size=64)
    quality=(--layers=6 --d_model=512 --steps=600 --batch_size=128 --learning_rate=1e-3)
fi
rows=bart,static,last,soft,hard,dag,compiled
if "$python" -c "import ctranslate2; assert $found" 2> /dev/null; then rows+=,ctranslate2; fi
failed=0

# table NAME SECONDS MODULE [OPTION …]: what the module prints becomes NAME.md.
table() {
    local name=$1 seconds=$2
    shift 2
    if timeout "$seconds" "$python" -m "$@" > "$out/$name.md"; then
        printf '\n%s\n' "$out/$name.md"
        cat "$out/$name.md"
    else
        echo "$name failed, or took longer than $seconds s: $out/$name.md has what there is." >&2
        failed=1
    fi
}

mkdir -p "$out"
[[ $# -gt 0 ]] || set -- latency training quality-position quality-dag
for name; do
    case $name in
        latency)
            table "$name" 600 textbox_elmer bench latency --device=$device --shapes=xsum --batch_sizes=$batches \
                --precisions=$precision --rows=$rows "${sizes[@]}" --out="$out/$name.json"
            ;;
        training)
            table "$name" 180 benchmarks.training_speed --device=$device "${sizes[@]}" "${training[@]}" \
                --out="$out/$name.json"
            ;;
        quality-position | quality-dag)
            table "$name" 330 benchmarks.pretraining_gain --alignment="${name#quality-}" --rows=ae --use_gpu=$gpu \
                "${quality[@]}" --data_path="$data" --out="$out/$name"
            ;;
        *)
            echo "There is no table $name: latency, training, quality-position, quality-dag." >&2
            failed=1
            ;;
    esac
done
exit $failed
