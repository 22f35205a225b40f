"""Published weights as an encoder of swath's."""

from pathlib import Path

from swath.encoders._checkpoint import build, save
from swath.encoders._foreign import StartReport
from swath.encoders._published import published_card
from swath.encoders.timm import Config
from swath.errors import RecipeError


def adopt(config: Config, to: Path | str) -> StartReport:
    """Save published weights as an encoder that is fed all bands of their card, scaled as their authors did it.

    Args:
        config: the network, the file of its weights, and their card.
        to: path of the encoder to write, as `save` takes it.

    Returns:
        What was used of the file.

    Raises:
        RecipeError: there is no card, or the file is not such a network's.
        ContractError: it takes another number of channels than the card says.
    """
    if config.card is None:
        raise RecipeError(
            "what the weights are fed is not said",
            where=str(config.weights),
            remedy="name a card of published weights, or the path of one of your own",
        )
    card = published_card(config.card)
    encoder = build(config, card.contract)
    if encoder.start is None:
        raise RecipeError("these are weights of swath's own", where=str(config.weights), remedy="use them as they are")
    save(encoder, config, to, {"published": card.title, "source": card.source})
    return encoder.start
