"""Sends a file with tuspy: `begin` sends about half of it and prints the upload's URL, which in
place of `begin` sends the rest."""

import os
import sys

from tusclient.client import TusClient

CHUNK_BYTES = 256 * 1024

endpoint, path, upload = sys.argv[1:]
client = TusClient(endpoint, headers={"Authorization": f"Bearer {os.environ['TOKEN']}"})
options = {"chunk_size": CHUNK_BYTES, "upload_checksum": True}
if upload == "begin":
    uploader = client.uploader(path, metadata={"filename": "tuspy.bin"}, **options)
    uploader.upload(stop_at=os.path.getsize(path) // 2)
    print(uploader.url)
else:
    client.uploader(path, url=upload, **options).upload()
