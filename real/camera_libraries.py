"""The camera libraries, imported when used: the only file that knows where they come from."""

import ctypes
import sys
from types import ModuleType
from typing import cast

from envs.errors import UsageError

INSTALL = "pip install 'armtrials[cameras]'"


def realsense() -> ModuleType:
    """Return pyrealsense2; the libusb it needs comes from the system or from ``libusb-package``.

    Raises:
        UsageError: it is not installed, has no wheel for this system, or does not load.
    """
    _load_libusb()
    try:
        import pyrealsense2
    except (ImportError, OSError) as error:
        where = "" if sys.platform in ("linux", "win32") else f" (there is none for {sys.platform})"
        raise UsageError(
            f"pyrealsense2 does not load{where}: {error}. {INSTALL}; where it is installed and "
            "libusb-1.0 is missing: apt-get install libusb-1.0-0"
        ) from error
    return cast(ModuleType, pyrealsense2)


def opencv() -> ModuleType:
    """Return cv2.

    Raises:
        UsageError: it is not installed or does not load.
    """
    try:
        import cv2
    except (ImportError, OSError) as error:
        raise UsageError(f"OpenCV does not load: {error}. {INSTALL}") from error
    return cv2


def _load_libusb() -> None:
    """Load libusb for pyrealsense2, which is linked to it; without the package the system's is."""
    try:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    except (ImportError, OSError, AttributeError):
        return  # pyrealsense2 then finds the system's, or tells that there is none
