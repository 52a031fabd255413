"""What independent tools say of artifacts, under the names of the facts in `dist inspect --json`.

Reads paths from standard input, a line each, and prints a JSON object of facts for each path. A fact
that a tool says is not there is null. Whatever no tool here knows is left out."""

import hashlib
import json
import os
import plistlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from datetime import datetime

import lief
import pefile


def run(*words, **options):
    """All that a tool prints, whatever its exit code."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    return done.stdout.decode("utf-8", "replace")


def known(facts):
    """Without empty texts and lists, which reports leave out."""
    return {name: None if value in ("", [], {}) else value for name, value in facts.items()}


# Debian packages: dpkg-deb and ar.


def deb(path):
    field = lambda name: run("dpkg-deb", "--field", path, name).removesuffix("\n")
    listed = run("dpkg-deb", "--contents", path).splitlines()
    control = control_files(path)
    scripts = {"preinst", "postinst", "prerm", "postrm", "config"} & control.keys()
    conffiles = control.get("conffiles", b"").decode().split("\n")
    members = run("ar", "t", path).split()
    arch = field("Architecture")
    return {
        "format": "deb",
        "package_type": "deb",
        "app_id": field("Package"),
        "version": field("Version"),
        "archs": [{"amd64": "x86_64", "all": "any"}[arch]],
        "arch_raw": arch,
        "maintainer": field("Maintainer"),
        "section": field("Section"),
        "depends": field("Depends"),
        "homepage": field("Homepage"),
        "installed_size": field("Installed-Size"),
        "name": field("Description").split("\n")[0],
        "members": members,
        "signed": any(name.startswith("_gpg") for name in members),
        "files": len(listed),
        "scripts": sorted(scripts),
        "conffiles": [line.strip() for line in conffiles if line.strip()],
    }


def control_files(path):
    """The files of a package's control archive."""
    packed = subprocess.run(["dpkg-deb", "--ctrl-tarfile", path], stdout=subprocess.PIPE, check=True)
    with tempfile.TemporaryFile() as file:
        file.write(packed.stdout)
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            files = [member for member in tar if member.isfile()]
            return {member.name.removeprefix("./"): tar.extractfile(member).read() for member in files}


# Android packages: aapt and apksigner.

ABIS = {"arm64-v8a": "arm64", "armeabi-v7a": "arm", "armeabi": "arm", "x86": "x86", "x86_64": "x86_64"}


def apk(path):
    badging = run("aapt", "dump", "badging", path)
    first = lambda pattern: next(iter(re.findall(pattern, badging, re.M)), None)
    names = lambda line: re.findall(rf"^ *{line}: name='([^']*)'", badging, re.M)
    asked = lambda what: [name for name in names(f"uses-{what}") if name not in names(f"uses-implied-{what}")]
    abis = first(r"^native-code: (.*)$") or ""
    icons = dict(re.findall(r"^application-icon-(\d+):'([^']*)'", badging, re.M))
    facts = {
        "format": "apk",
        "app_id": first(r"^package: name='([^']*)'"),
        "build": first(r"^package: .*versionCode='([^']*)'"),
        "version": first(r"^package: .*versionName='([^']*)'"),
        "min_os": first(r"^sdkVersion:'([^']*)'"),
        "target_os": first(r"^targetSdkVersion:'([^']*)'"),
        "name": first(r"^application: label='([^']*)'"),
        "icon_path": first(r"^application: .*icon='([^']*)'"),
        "icons_by_density": {density: icon for density, icon in icons.items() if icon},
        "archs": sorted({ABIS[abi] for abi in re.findall(r"'([^']*)'", abis)}),
        "debuggable": "\napplication-debuggable" in badging,
        "test_only": "testOnly='-1'" in badging,
        # What follows from something else is printed twice.
        "permissions": asked("permission"),
        "features": asked("feature"),
        "optional_features": names("uses-feature-not-required"),
    }
    told = run("apksigner", "verify", "--verbose", "--print-certs", path)
    facts["signed"] = told.startswith("Verifies")
    if facts["signed"]:
        schemes = dict(re.findall(r"^Verified using (v[\d.]+) scheme .*: (true|false)$", told, re.M))
        facts["apk_signature_schemes"] = {
            scheme: schemes.get(scheme) == "true" for scheme in ("v1", "v2", "v3", "v3.1")
        }
    facts["cert_sha256"] = re.findall(r"certificate SHA-256 digest: (\w+)", told)
    facts["signer"] = "; ".join(re.findall(r"certificate DN: (.*)", told)).replace("EMAILADDRESS", "emailAddress")
    return facts


# Programs for Windows: pefile, osslsigncode and openssl.

MACHINES = {0x14C: ("x86", None), 0x8664: ("x86_64", "x64"), 0xAA64: ("arm64", None)}
ICON_GROUP, MANIFEST = 14, 24


def pe(path):
    program = pefile.PE(path)
    arch, raw = MACHINES[program.FILE_HEADER.Machine]
    header = program.OPTIONAL_HEADER
    directories = header.DATA_DIRECTORY
    texts = version_texts(program)
    resources = getattr(program, "DIRECTORY_ENTRY_RESOURCE", None)
    kinds = {entry.id: entry for entry in resources.entries} if resources else {}
    facts = {
        "format": "pe",
        "archs": [arch],
        "arch_raw": raw,
        "subsystem": header.Subsystem,
        "min_os": f"{header.MajorSubsystemVersion}.{header.MinorSubsystemVersion}",
        "is_dll": program.is_dll(),
        "is_dotnet": True if len(directories) > 14 and directories[14].VirtualAddress else None,
        "has_icon": ICON_GROUP in kinds,
        "execution_level": execution_level(program, kinds),
        "version_info": texts,
        "name": texts.get("ProductName"),
        "publisher": texts.get("CompanyName"),
        "description": texts.get("FileDescription"),
        "original_filename": texts.get("OriginalFilename"),
        "signed": directories[4].Size > 0,
    }
    if texts.get("FileVersion"):
        facts["file_version"] = texts["FileVersion"]
        facts["version"] = texts.get("ProductVersion") or texts["FileVersion"]
    if facts["signed"]:
        start, size = directories[4].VirtualAddress, directories[4].Size
        with open(path, "rb") as file:
            file.seek(start + 8)
            facts |= authenticode(path, file.read(size - 8))
    return facts


def version_texts(program):
    tables = [
        table
        for info in getattr(program, "FileInfo", [])
        for part in info
        if part.Key == b"StringFileInfo"
        for table in part.StringTable
    ]
    entries = tables[0].entries if tables else {}
    decoded = {key.decode(): value.decode("utf-8", "replace").strip("\0").strip() for key, value in entries.items()}
    return {key: value for key, value in decoded.items() if value}


def execution_level(program, kinds):
    if MANIFEST not in kinds:
        return None
    place = kinds[MANIFEST].directory.entries[0].directory.entries[0].data.struct
    manifest = program.get_data(place.OffsetToData, place.Size)
    found = re.search(rb"requestedExecutionLevel[^>]*\blevel\s*=\s*[\"'](\w+)", manifest)
    return found and found[1].decode()


def authenticode(path, message):
    told = run("osslsigncode", "verify", path).split("Signature Index: 1")[0]
    first = lambda pattern: next(iter(re.findall(pattern, told, re.M)), None)
    serial = first(r"Serial : (\w+)")
    if serial is None:  # It reads no table of several signatures, as loaders of systems have.
        return {}
    current = first(r"^Current message digest\s*: (\w+)")
    facts = {
        "digest_alg": first(r"^Message digest algorithm\s*: (\w+)"),
        "digest_matches": current is not None and current == first(r"^Calculated message digest\s*: (\w+)"),
        "timestamped": "Timestamp time" in told,
    }
    if facts["timestamped"]:
        facts["signed_at"] = rfc3339(first(r"Timestamp time: (.*)"))
    certificates = [describe(pem) for pem in pems(message)]
    facts["certificates"] = [certificate["subject"] for certificate in certificates]
    signer = next(one for one in certificates if int(one["serial"], 16) == int(serial, 16))
    return facts | {
        "signer": signer["subject"],
        "signer_name": signer["subject"].split("CN=")[-1],
        "issuer": signer["issuer"],
        "cert_sha256": [signer["sha256"]],
        "cert_expires": signer["expires"],
    }


def pems(message):
    printed = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=message)
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", printed, re.S)


def describe(pem):
    options = "-noout -serial -subject -issuer -enddate -fingerprint -sha256 -nameopt sep_comma_plus_space,sname,utf8"
    printed = run("openssl", "x509", *options.split(), input=pem.encode())
    field = lambda name: re.search(rf"^{name}\s*=\s*(.*)$", printed, re.M | re.I)[1]
    return {
        "serial": field("serial"),
        "subject": field("subject"),
        "issuer": field("issuer"),
        "expires": rfc3339(field("notAfter")),
        "sha256": field("sha256 Fingerprint").replace(":", "").lower(),
    }


def rfc3339(time):
    return datetime.strptime(time, "%b %d %H:%M:%S %Y GMT").strftime("%Y-%m-%dT%H:%M:%SZ")


# Apps for macOS: plistlib and LIEF.

CPUS = {"X86_64": "x86_64", "ARM64": "arm64", "X86": "x86"}


def app_zip(path):
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        app = next(name for name in names if re.fullmatch(r"[^/]+\.app/Contents/Info\.plist", name))
        contents = app.removesuffix("Info.plist")
        raw = archive.read(app)
        info = plistlib.loads(raw)
        program = archive.extract(f"{contents}MacOS/{info['CFBundleExecutable']}", folder)
        # The slices do not outlive the whole, which has to keep a name.
        whole = lief.MachO.parse(program)
        slices = list(whole)
    return {
        "format": "app_zip",
        "bundle_path": contents.removesuffix("/Contents/"),
        "app_id": info.get("CFBundleIdentifier"),
        "name": info.get("CFBundleDisplayName") or info.get("CFBundleName"),
        "display_name": info.get("CFBundleDisplayName"),
        "bundle_name": info.get("CFBundleName"),
        "version": info.get("CFBundleShortVersionString"),
        "build": info.get("CFBundleVersion"),
        "min_os": info.get("LSMinimumSystemVersion"),
        "executable": info.get("CFBundleExecutable"),
        "package_type": info.get("CFBundlePackageType"),
        "supported_platforms": info.get("CFBundleSupportedPlatforms"),
        "info_plist_format": "binary" if raw.startswith(b"bplist") else "xml",
        "archs": sorted({CPUS[one.header.cpu_type.name] for one in slices}),
        "signed": all(one.has_code_signature for one in slices),
        "has_code_signature_dir": f"{contents}_CodeSignature/CodeResources" in names,
        "stapled_ticket": f"{contents}CodeResources" in names,
    }


# Archives: Python's own readers, and `file` for the programs in them.

PROGRAMS = [
    (r"^ELF .*x86-64", "x86_64"),
    (r"^ELF .*80386", "x86"),
    (r"^ELF .*aarch64", "arm64"),
    (r"^ELF .*ARM,", "arm"),
    (r"^PE32.*x86-64", "x86_64"),
    (r"^PE32.*Aarch64", "arm64"),
    (r"^PE32.*80386", "x86"),
    (r"^Mach-O .*x86_64", "x86_64"),
    (r"^Mach-O .*arm64", "arm64"),
]


def tar(path):
    with tarfile.open(path) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder, filter="data")
        kinds = run("file", "--brief", "--files-from", "-", input="\n".join(files_in(folder)).encode())
    found = {arch for kind in kinds.splitlines() for pattern, arch in PROGRAMS if re.search(pattern, kind)}
    return {"format": "tar", "archs": sorted(found)}


def files_in(folder):
    return [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]


def wheel(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    return {"format": "zip"}


READERS = {
    ".deb": deb,
    ".apk": apk,
    ".exe": pe,
    ".dll": pe,
    ".pyd": pe,
    ".efi.signed": pe,
    ".zip": app_zip,
    ".tgz": tar,
    ".tar.gz": tar,
    ".whl": wheel,
}


def facts(path):
    read = next(read for ending, read in READERS.items() if path.endswith(ending))
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return known({"sha256": digest, "size_bytes": os.path.getsize(path)} | read(path))


for line in sys.stdin:
    print(json.dumps(facts(line.rstrip("\n"))), flush=True)
