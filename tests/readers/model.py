"""Loads exported models with Hugging Face's transformers and compares what they expect next with what ciyuan says.

    pip install -r tests/readers/requirements.txt transformers
    python tests/readers/model.py target/debug/ciyuan SHARDS

SHARDS is a folder made by `ciyuan prepare` or `encode`. A small GPT of each form is trained on it, exported, and asked.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

FORMS = {
    "gpt2": ["--form", "gpt2"],
    "qwen3": ["--form", "modern"],
    "llama": ["--form", "modern", "--qk-norm", "false", "--kv-heads", "2", "--untied"],
}
PROMPTS = ["词元", "The tokens of", "我们 use both. 因为"]
SIZE = "--layers 2 --heads 4 --width 48 --context 64 --steps 60 --batch 4".split()


def asked(binary, folder, prompt):
    """The likeliest tokens behind a prompt with their shares, as `sample --show` prints them."""
    command = [binary, "sample", folder, "--prompt", prompt, "--temperature", "1", "--top-k", "0", "--max-tokens", "1", "--show", "20"]
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\t", 1)[1]
    return [float(part) for part in line.split(" ") if part.strip().replace(".", "", 1).isdigit() and "." in part]


def main():
    binary, shards = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as place:
        for name, form in FORMS.items():
            own, there = Path(place) / name, Path(place) / f"{name}-hf"
            subprocess.run([binary, "train", shards, "-o", own, *SIZE, *form, "--quiet"], check=True, capture_output=True)
            subprocess.run([binary, "export", own, "--layout", "hf", "-o", there], check=True, capture_output=True)
            model, tokenizer = AutoModelForCausalLM.from_pretrained(there).eval(), AutoTokenizer.from_pretrained(there)
            worst = 0.0
            for prompt in PROMPTS:
                ids = [tokenizer.eos_token_id, *tokenizer(prompt)["input_ids"]]
                with torch.no_grad():
                    shares = torch.softmax(model(torch.tensor([ids])).logits[0, -1].double(), -1)
                expected = shares.topk(20).values.tolist()
                got = asked(binary, str(own), prompt)
                assert len(got) == len(expected), (name, prompt, got)
                worst = max(worst, *(abs(a - b) for a, b in zip(got, expected)))
            # Three digits are printed.
            assert worst < 6e-4, (name, worst)
            print(f"{name}: {type(model).__name__}, {len(PROMPTS)} prompts, largest difference of a share {worst:.4f}")


main()
