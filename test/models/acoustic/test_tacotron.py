from __future__ import annotations

import pytest
import torch
from autoregressive_cases import F, build, speech

from speechkit.models.acoustic.base import AcousticFacts, AcousticModel
from speechkit.nn.location_attention import AdditiveAttention, LocationAttention
from speechkit.text.vocabulary import Vocabulary


def test_the_layers_have_the_sizes_of_table_1():
    facts = AcousticFacts(Vocabulary(70), feat_dim=80, frame_shift=0.0125)
    with torch.device("meta"):
        model = AcousticModel.registry["tacotron"].Config().build(facts=facts)
    encoder, decoder, postnet = model.encoder, model.decoder, model.postnet
    assert [conv.kernel_size for conv in encoder.cbhg.bank] == [(taps,) for taps in range(1, 17)]
    assert [conv.kernel_size for conv in postnet.cbhg.bank] == [(taps,) for taps in range(1, 9)]
    assert encoder.cbhg.narrow.weight.shape == (128, 16 * 128, 3) and encoder.cbhg.restore.weight.shape == (128, 128, 3)
    assert postnet.cbhg.narrow.weight.shape == (256, 8 * 128, 3) and postnet.cbhg.restore.weight.shape == (80, 256, 3)
    assert len(encoder.cbhg.highway.layers) == len(postnet.cbhg.highway.layers) == 4
    assert [each.out_features for each in decoder.prenet.layers] == [256, 128]
    assert (decoder.attention_rnn.rnn.dim, [each.dim for each in decoder.stack.layers]) == (256, [256, 256])
    assert decoder.out.weight.shape == (2 * 80, 256)


@pytest.mark.parametrize(("attention", "kind"), [("additive", AdditiveAttention), ("location", LocationAttention)])
def test_both_attentions_can_be_asked_for(attention, kind):
    model = build("tacotron", attention=attention)
    assert type(model.decoder.attention_rnn.attention) is kind
    assert model(speech()).compared["mel"].predicted.isfinite().all()


def test_the_postnet_sees_what_comes_later():
    postnet, x = build("tacotron").postnet.eval(), torch.randn(1, 9, F, requires_grad=True)
    (grad,) = torch.autograd.grad(postnet(x, torch.tensor([9]))[0, 0].sum(), x)
    assert grad[0, 8].ne(0).any()
