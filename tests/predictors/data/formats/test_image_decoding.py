"""Image files of every depth, orientation and declared size."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from corrwise.predictors.data.datasets.image_sequences import ImageFiles
from corrwise.predictors.data.formats.image_decoding import MAX_PIXELS, BitDepth, decode_image


def _decoded(data, white=None):
    return decode_image(data, "a", BitDepth(white))


def _saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _png16(values):
    return cv2.imencode(".png", np.asarray(values, np.uint16))[1].tobytes()


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _declared_png(width, height):
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(bytes(100))) + _chunk(b"IEND", b"")


IMAGE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["1", "P", "L", "LA", "RGB", "RGBA"])
def test_images_of_8_bits_are_rgb(mode):
    image = Image.fromarray(IMAGE).convert(mode)
    np.testing.assert_array_equal(_decoded(_saved(image, "PNG")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_formats_that_lose_nothing_come_as_they_are(form):
    options = {"lossless": True} if form == "WEBP" else {}
    np.testing.assert_array_equal(_decoded(_saved(Image.fromarray(IMAGE), form, **options)), IMAGE)


def test_cmyk_is_rgb():
    image = Image.new("RGB", (16, 16), (200, 30, 10)).convert("CMYK")
    np.testing.assert_allclose(_decoded(_saved(image, "JPEG", quality=98))[8, 8].astype(int), (200, 30, 10), atol=4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(form, orientation):
    flat = np.zeros((16, 24, 3), np.uint8)
    flat[:8, :12], flat[:8, 12:], flat[8:, :12] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    exif = Image.Exif()
    exif[274] = orientation
    data = _saved(Image.fromarray(flat), form, exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    decoded = _decoded(data)
    assert decoded.shape == shown.shape
    assert np.abs(decoded.astype(int) - shown.astype(int)).mean() < 8


def test_a_png_without_an_orientation_is_decoded_once(monkeypatch):
    data, loads = _saved(Image.fromarray(IMAGE), "PNG"), []
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: loads.append(self))
    np.testing.assert_array_equal(_decoded(data), IMAGE)
    assert not loads


def test_16_bits_are_scaled_by_their_white():
    values = np.array([[0, 257, 40000, 65535]] * 4)
    np.testing.assert_array_equal(_decoded(_png16(values))[0, :, 0], [0, 1, 156, 255])
    twelve = np.array([[0, 16, 2048, 4095]] * 4)
    np.testing.assert_array_equal(_decoded(_png16(twelve), 4095)[0, :, 1], [0, 1, 128, 255])
    with pytest.raises(ValueError, match="from 0 to white, 4095, in a, got values from 0 to 65535"):
        _decoded(_png16(values), 4095)
    for white in (0, 65536):
        with pytest.raises(ValueError, match=f"white from 1 to 65535, got {white}"):
            BitDepth(white)


def test_images_whose_white_is_not_known_are_refused_with_their_range(tmp_path):
    (tmp_path / "a.png").write_bytes(_png16([[300, 3980]] * 2))
    with pytest.raises(ValueError, match=r"a.png has images of 16 bits with values from 300 to 3980, .* white = 4095"):
        ImageFiles([tmp_path / "a.png"]).read(0)
    depth = BitDepth()
    for most in (100, 60000, 0):  # one bright image of a clip is enough
        decode_image(_png16([[0, most]] * 2), "a", depth)
    depth.finish("a")
    black = BitDepth()
    assert (decode_image(_png16([[0, 0]] * 2), "a", black) == 0).all()
    black.finish("a")


def test_the_white_that_a_pgm_file_declares_is_white():
    data = b"P5 # a comment 7 7\n2 1\n4095\n" + np.array([2048, 4095], ">u2").tobytes()
    assert _decoded(data)[0, :, 0].tolist() == [128, 255]
    assert _decoded(b"P5 2 1 15 " + bytes([5, 15]))[0, :, 0].tolist() == [85, 255]
    assert _decoded(b"P4 8 1 " + bytes([0b01010101]))[0, :2, 0].tolist() == [255, 0]


def test_numbers_that_are_no_integers_are_refused_with_their_range():
    data = cv2.imencode(".tiff", np.array([[0.5, 7.25]] * 2, np.float32))[1].tobytes()
    with pytest.raises(ValueError, match=r"8 or 16 bits in a, got 32-bit floats from 0.5 to 7.25"):
        _decoded(data)


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize("size", [(60000, 60000), (9000, 9000), (2**31 - 1, 2**31 - 1)])
def test_declared_sizes_are_checked_before_memory_is_taken(size, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=f"expected at most {MAX_PIXELS} pixels in a, got"):
        _decoded(_declared_png(*size))


def test_several_images_in_a_file_are_refused():
    images = [Image.fromarray(IMAGE), Image.fromarray(IMAGE[::-1])]
    for form in ("WEBP", "TIFF", "PNG"):
        with pytest.raises(ValueError, match="expected one image in a, got 2"):
            _decoded(_saved(images[0], form, save_all=True, append_images=images[1:]))


def test_what_is_no_image_is_none():
    whole = _saved(Image.fromarray(IMAGE), "JPEG")
    for data in (b"", b"text", whole[: len(whole) // 2], b"P5", b"P5 2 2 255 ", _declared_png(0, 5)):
        assert _decoded(data) is None
