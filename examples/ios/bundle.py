"""Packs the example app into an IPA: bundle.py VERSION BUILD EXECUTABLE OUTPUT

Order, times and permissions are fixed, so that the same input gives the same bytes.
"""

import plistlib
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
APP = "Payload/Hello.app/"
EARLIEST = (1980, 1, 1, 0, 0, 0)  # of the times that a ZIP archive can express
DIRECTORY, PROGRAM, FILE = 0o040755, 0o100755, 0o100644


def add(archive, name, mode, data=b""):
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.create_system = 3  # Unix: the upper half of the attributes is the mode
    entry.external_attr = mode << 16
    compression = zipfile.ZIP_STORED if mode == DIRECTORY else zipfile.ZIP_DEFLATED
    archive.writestr(entry, data, compression)


def main(version, build, executable, output):
    info = plistlib.loads((HERE / "Info.plist").read_bytes())
    info["CFBundleShortVersionString"] = version
    info["CFBundleVersion"] = build

    with zipfile.ZipFile(output, "w") as archive:
        add(archive, "Payload/", DIRECTORY)
        add(archive, APP, DIRECTORY)
        for icon in sorted((HERE / "icons").glob("*.png")):
            add(archive, APP + icon.name, FILE, icon.read_bytes())
        add(archive, APP + "Hello", PROGRAM, Path(executable).read_bytes())
        add(archive, APP + "Info.plist", FILE, plistlib.dumps(info, fmt=plistlib.FMT_BINARY))
        add(archive, APP + "PkgInfo", FILE, b"APPL????")


main(*sys.argv[1:])
