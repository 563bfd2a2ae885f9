# Two images: `infer` finds faces and scores them, without torch; `train` has everything and uses the GPU of the host.
#
#   docker build --target infer -t faceflow-infer .
#   docker run -v /path/to/data:/data faceflow-infer source=/data/video.mp4 output=/data/aus.csv
#
#   docker build --target train -t faceflow .
#   docker run --gpus all -v /path/to/data:/data --shm-size=4gb faceflow faceflow-train data=disfa model=base
#
# Data are in /data (FACEFLOW_DATA), runs are written to /data/runs, detector models are read from /data/models. The user
# in the container is 1000: the mounted folder must be writable for this user, or add --user "$(id -u):$(id -g)".
# constraints.txt pins Python packages; Debian's packages are only fixed by its release, because its archive drops older
# versions and a build with pinned ones would fail. For exact rebuilds, pin the base by digest (debian@sha256:...).

FROM debian:bookworm-slim AS base
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/faceflow/bin:$PATH
# Finding faces needs these libraries: MediaPipe uses EGL, and installs an OpenCV that loads GL, GLib and X although it
# opens no window.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv libegl1 libgles2 libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/faceflow && useradd --create-home --uid 1000 faceflow && mkdir /data && chown faceflow /data
ENV FACEFLOW_DATA=/data FACEFLOW_RUNS=/data/runs FACEFLOW_MODELS=/data/models FACEFLOW_CACHE=/data/cache
WORKDIR /src
# Dependencies first, for a package without code, so that changes to the code do not rebuild this layer.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir -p faceflow configs && echo '__version__ = "0"' > faceflow/__init__.py

FROM base AS infer
RUN pip install --constraint constraints.txt ".[crop]" && python -c "import cv2, mediapipe, onnxruntime"
COPY faceflow faceflow
COPY configs configs
RUN pip install --no-deps --force-reinstall . && pip check
# Set HOME only now: files that root wrote to this folder could not be changed by the user.
ENV HOME=/home/faceflow
USER 1000
WORKDIR /data
ENTRYPOINT ["faceflow-infer"]
CMD ["--help"]

FROM base AS train
# `--gpus all` provides the host's driver; PyTorch's wheels include CUDA.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install --constraint constraints.txt ".[all]" && python -c "import cv2, mediapipe, torch"
COPY faceflow faceflow
COPY configs configs
RUN pip install --no-deps --force-reinstall . && pip check
ENV HOME=/home/faceflow
USER 1000
WORKDIR /data
CMD ["faceflow-train", "--help"]
