# The README's steps in a container: Python 3.11, make, `make install`; then serve.py, of which a `docker run` names the options.
FROM python:3.11-slim

RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*

WORKDIR /auscult
COPY . .
# May name PyTorch's index of CPU wheels: those of the default index bring CUDA along, several gigabytes of it. The lock does
# not know their hashes: PyTorch's three packages, and no others, then go unchecked.
ARG PIP_EXTRA_INDEX_URL
RUN PIP_NO_CACHE_DIR=1 make install TORCH_INDEX="$PIP_EXTRA_INDEX_URL"

# Runs as whoever `--user` names, who has neither a name nor a home folder here, in the folder that is mounted at /work.
ENV HOME=/tmp USER=auscult
WORKDIR /work
EXPOSE 8000
ENTRYPOINT ["/auscult/.venv/bin/python", "/auscult/serve.py", "host=0.0.0.0", "names=[localhost]"]
CMD ["--help"]
