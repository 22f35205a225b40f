"""Published weights as an encoder of swath's."""

from pathlib import Path

from swath.encoders import any_sensor, timm
from swath.encoders._checkpoint import build, save
from swath.encoders._foreign import StartReport
from swath.encoders._published import published_card
from swath.errors import RecipeError


def adopt(config: timm.Config | any_sensor.Config, to: Path | str, card: str | None = None) -> StartReport:
    """Save published weights as an encoder that is fed all bands of their card, scaled as their authors did it.

    Args:
        config: the network, the file of its weights, and of timm's networks their card.
        to: path of the encoder to write, as `save` takes it.
        card: of weights of DOFA: name of their card, or the path of one of your own.

    Returns:
        What was used of the file.

    Raises:
        RecipeError: there is no card, or the file is not such a network's.
        ContractError: it takes another number of channels than the card says.
    """
    name = config.card if isinstance(config, timm.Config) else card
    if name is None:
        raise RecipeError(
            "what the weights are fed is not said",
            where=str(config.weights),
            remedy="name a card of published weights, or the path of one of your own",
        )
    said = published_card(name)
    encoder = build(config, said.contract)
    if encoder.start is None:
        raise RecipeError("these are weights of swath's own", where=str(config.weights), remedy="use them as they are")
    save(encoder, config, to, {"published": said.title, "source": said.source})
    return encoder.start
