"""Augmentations of published methods, for any unit: gains instead of additions to [0, 1], and no clipping."""

from swath.views._settings import Augment, Blur, Crop, Erase, Jitter, Rotation


def moco_v2(size: int | None = None) -> Augment:
    """MoCo v2 as SSL4EO-L trained it (torchgeo's `moco_augmentations(2, ...)`; facts of the released code)."""
    jitter = Jitter(p=0.8, factor=(0.6, 1.4))
    return Augment(
        crop=Crop(size=size, scale=(0.2, 1.0)),
        hflip=0.5,
        vflip=0.5,
        brightness=jitter,
        contrast=jitter,
        grey=0.2,
        blur=Blur(p=0.5, sigma=(0.1, 2.0)),
    )


def colour_kept(size: int | None = None) -> Augment:
    """MoCo v2's without changes of brightness and contrast and without grey.

    No published method's: in the sweep over ten methods (docs/results.md, school-landscape) views that keep the colours
    are ahead of MoCo v2's, which teach an encoder to be blind to what tells land cover apart.
    """
    return moco_v2(size).model_copy(update={"brightness": Jitter(), "contrast": Jitter(), "grey": 0.0})


def gassl(size: int | None = None) -> Augment:
    """GASSL as its code trained it: MoCo v2's with crops of (0.08, 1) and no vertical flip."""
    return moco_v2(size).model_copy(update={"crop": Crop(size=size, scale=(0.08, 1.0)), "vflip": 0.0})


def simclr(size: int | None = None) -> Augment:
    """SimCLR as SSL4EO-L trained it: MoCo v2's with twice the jitter and crops of (0.08, 1)."""
    jitter = Jitter(p=0.8, factor=(0.2, 1.8))
    crop = Crop(size=size, scale=(0.08, 1.0))
    return moco_v2(size).model_copy(update={"crop": crop, "brightness": jitter, "contrast": jitter})


def byol(size: int | None = None) -> tuple[Augment, Augment]:
    """BYOL's and MoCo v3's two views: blur with p = 1 and p = 0.1, bicubic crops of (0.08, 1). Solarising, which has no
    meaning in physical units, is left out."""
    crop = Crop(size=size, scale=(0.08, 1.0))
    base = moco_v2(size).model_copy(update={"crop": crop, "interpolation": "bicubic"})
    first, second = (base.model_copy(update={"blur": Blur(p=p)}) for p in (1.0, 0.1))
    return first, second


def dino(size: int | None = None, local_size: int | None = 96) -> tuple[Augment, Augment, Augment]:
    """DINO's two global crops and its local ones: scales of (0.4, 1) and (0.05, 0.4), blur with p = 1, 0.1 and 0.5
    (`main_dino.py`); all else as `byol`."""
    first, second = (_cropped(view, size, (0.4, 1.0)) for view in byol())
    return first, second, _cropped(first, local_size, (0.05, 0.4)).model_copy(update={"blur": Blur(p=0.5)})


def lejepa(size: int | None = None, local_size: int | None = 98) -> tuple[Augment, Augment]:
    """LeJEPA's global and local crops: scales of (0.3, 1) and (0.05, 0.3), jitter twice MoCo v2's (the authors' code:
    MINIMAL.md); solarising, which has no meaning in physical units, is left out."""
    return _cropped(simclr(), size, (0.3, 1.0)), _cropped(simclr(), local_size, (0.05, 0.3))


def _cropped(augment: Augment, size: int | None, scale: tuple[float, float]) -> Augment:
    return augment.model_copy(update={"crop": Crop(size=size, scale=scale)})


def rs_byol(size: int | None = None, *, grey: float = 0.0) -> Augment:
    """RS-BYOL (Jain et al. 2022, section IV.B): flips, rotation, blur, erasing, bicubic crops, no colour jitter.

    The paper gives no values; these are BYOL's where it has them. Greyscale belongs to its three-channel models only.
    """
    return Augment(
        crop=Crop(size=size, scale=(0.2, 1.0)),
        interpolation="bicubic",
        hflip=0.5,
        vflip=0.5,
        quarter_turns=0.75,
        rotation=Rotation(p=0.5, degrees=(-10.0, 10.0)),
        blur=Blur(p=0.5, sigma=(0.1, 2.0)),
        erase=Erase(p=0.25, area=(0.02, 0.2)),
        grey=grey,
    )
