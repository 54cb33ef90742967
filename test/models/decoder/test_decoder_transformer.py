from __future__ import annotations

import torch
from attention_cases import D, V, build
from safetensors.torch import load, save

from speechkit.models.decoder.transformer import TransformerDecoder
from speechkit.nn.position import sinusoids
from speechkit.text.vocabulary import Vocabulary

LENS = torch.tensor([11, 7])


def test_it_equals_torchs_own_pre_norm_decoder():
    config = TransformerDecoder.Config(dim=6, num_layers=1, num_heads=3, ff_dim=5)
    decoder = config.build(in_dim=6, vocabulary=Vocabulary(V)).eval()
    layer = decoder.layers[0]
    peer = torch.nn.TransformerDecoderLayer(6, 3, 5, dropout=0.0, norm_first=True, batch_first=True).eval()
    cross = layer.cross_attention
    parts = {
        "self_attn.in_proj": layer.self_attention.qkv,
        "self_attn.out_proj": layer.self_attention.out,
        "multihead_attn.out_proj": cross.out,
        "linear1": layer.feed.expand,
        "linear2": layer.feed.contract,
        "norm1": layer.norm_self,
        "norm2": layer.norm_cross,
        "norm3": layer.norm_feed,
    }
    state = {}
    for name, module in parts.items():
        mark = "_" if name.endswith("in_proj") else "."
        state |= {f"{name}{mark}{key}": value for key, value in module.state_dict().items()}
    for key in ("weight", "bias"):
        projections = [getattr(cross.query, key), getattr(cross.key_value, key)]
        state[f"multihead_attn.in_proj_{key}"] = torch.cat(projections)
    peer.load_state_dict(state)

    encoder_out, tokens = torch.randn(2, 11, 6), torch.randint(1, V, (2, 4))
    padding = torch.arange(11) >= LENS.unsqueeze(1)
    x = decoder.embedding(tokens) * 6**0.5 + sinusoids(torch.arange(4.0), 6)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(4)
    memory = encoder_out + sinusoids(torch.arange(11.0), 6)
    x = peer(x, memory, tgt_mask=causal, memory_key_padding_mask=padding, tgt_is_causal=True)
    expected = decoder.out(decoder.norm(x))
    torch.testing.assert_close(decoder(encoder_out, LENS, tokens, torch.tensor([4, 4])), expected)


def test_tied_embeddings_are_one_parameter():
    tied = build("tied")
    assert len([p for p in tied.parameters() if p.shape == tied.embedding.weight.shape]) == 1
    assert load(save(tied.state_dict())).keys() == tied.state_dict().keys()  # which shared weights would not allow
    state = tied.start(torch.randn(1, 3, D, dtype=torch.float64), torch.tensor([3]))
    seen = []
    tied.norm.register_forward_hook(lambda module, given, out: seen.append(out[0, 0]))
    log_probs, _ = tied.step(torch.tensor([2]), state)
    torch.testing.assert_close(log_probs[0], (tied.embedding.weight @ seen[0]).log_softmax(-1))


def test_without_positions_the_order_of_frames_does_not_matter():
    frames, order = torch.randn(1, 5, D, dtype=torch.float64), torch.tensor([3, 0, 4, 1, 2])
    facts = torch.tensor([5]), torch.tensor([[V - 1, 2, 3]]), torch.tensor([3])
    bare, placed = build("bare"), build("transformer")
    torch.testing.assert_close(bare(frames, *facts), bare(frames[:, order], *facts))
    assert (placed(frames, *facts) - placed(frames[:, order], *facts)).abs().max() > 1e-3


def test_the_encodings_are_projected_once_however_many_steps_follow():
    decoder = build("transformer")
    calls = []
    for layer in decoder.layers:
        layer.cross_attention.key_value.register_forward_hook(lambda *_: calls.append(1))
    state = decoder.start(torch.randn(2, 11, D, dtype=torch.float64), LENS)
    for _ in range(5):
        _, state = decoder.step(torch.tensor([1, 2]), state)
    assert len(calls) == len(decoder.layers)


def test_sentences_longer_than_the_table_of_positions_are_scored():
    decoder = build("transformer")
    state = decoder.start(torch.randn(1, 3, D, dtype=torch.float64), torch.tensor([3]))
    with torch.inference_mode():
        for _ in range(3):
            log_probs, state = decoder.step(torch.tensor([1]), state)
    tokens = torch.ones(1, 1100, dtype=torch.int64)
    logits = decoder(torch.randn(1, 3, D, dtype=torch.float64), torch.tensor([3]), tokens, torch.tensor([1100]))
    assert log_probs.isfinite().all() and logits.isfinite().all()
