# Two images. `infer` finds faces and scores them, without torch; `train` holds everything and uses the GPU of the host.
#
#   docker build --target infer -t faceflow-infer .
#   docker run -v /path/to/data:/data faceflow-infer source=/data/video.mp4 output=/data/aus.csv
#
#   docker build --target train -t faceflow .
#   docker run --gpus all -v /path/to/data:/data --shm-size=4gb faceflow faceflow-train data=disfa model=base
#
# Data lie below /data (FACEFLOW_DATA), runs are written to /data/runs, detector models are read from /data/models. The
# user in the container is 1000: the mounted folder must be writable for it, or add --user "$(id -u):$(id -g)".
# Python packages are pinned by constraints.txt, those of Debian by its release: its archive drops older versions, so
# that a pinned one stops building. Pin the base by digest (debian@sha256:...) where builds must repeat exactly.

FROM debian:bookworm-slim AS base
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/faceflow/bin:$PATH
# The libraries are for finding faces: MediaPipe draws with EGL, and brings an OpenCV that loads GL, GLib and X although it
# opens no window.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv libegl1 libgles2 libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/faceflow && useradd --create-home --uid 1000 faceflow && mkdir /data && chown faceflow /data
ENV FACEFLOW_DATA=/data FACEFLOW_RUNS=/data/runs FACEFLOW_MODELS=/data/models FACEFLOW_CACHE=/data/cache
WORKDIR /src
# Dependencies first, in a layer that changes to the code leave as it is: installed for a package without code.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir -p faceflow configs && echo '__version__ = "0"' > faceflow/__init__.py

FROM base AS infer
RUN pip install --constraint constraints.txt ".[crop]" && python -c "import cv2, mediapipe, onnxruntime"
COPY faceflow faceflow
COPY configs configs
RUN pip install --no-deps --force-reinstall . && pip check
# Not earlier: what root writes to a home folder would be nobody else's to change.
ENV HOME=/home/faceflow
USER 1000
WORKDIR /data
ENTRYPOINT ["faceflow-infer"]
CMD ["--help"]

FROM base AS train
# The host's driver comes in through `--gpus all`; PyTorch's wheels bring CUDA themselves.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install --constraint constraints.txt ".[all]" && python -c "import cv2, mediapipe, torch"
COPY faceflow faceflow
COPY configs configs
RUN pip install --no-deps --force-reinstall . && pip check
ENV HOME=/home/faceflow
USER 1000
WORKDIR /data
CMD ["faceflow-train", "--help"]
