FROM denoland/deno:debian-2.9.6

# Mesa's software Vulkan driver, and the loader that finds a GPU's own driver where one is mounted.
RUN apt-get update \
  && apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o deno /mdm /out /var/cache/mdm

# Where drivers keep compiled kernels; the user has no home. Not below /tmp, over which people mount
# a file system in memory: what is built into the image has to stay in sight. A named volume here
# starts with what the image has, and keeps what is compiled later.
ENV XDG_CACHE_HOME=/var/cache/mdm
USER deno
WORKDIR /mdm
COPY --chown=deno deno.json deno.lock ./
RUN deno install --frozen
COPY --chown=deno . .

# Compiles for the software driver the kernels of the model that comes along; makes a picture, to try
# the image out and for Deno to keep its compiled modules; lets --user another one use the cache,
# which Mesa opens for writing or not at all.
RUN deno cache src/cli/main.ts \
  && deno task --quiet mdm warmup \
  && deno task --quiet mdm generate "a red circle" --steps 1 -o /tmp/picture.png \
  && rm /tmp/picture.png \
  && chmod -R a+rwX /var/cache/mdm

# Pictures go here: docker run -v "$PWD:/out" mdm generate "a red circle on a blue background"
WORKDIR /out
ENTRYPOINT ["deno", "run", "--cached-only", "--no-prompt", "--config=/mdm/deno.json", "--allow-read", "--allow-write", "--allow-env=XDG_RUNTIME_DIR,LP_NATIVE_VECTOR_WIDTH,MDM_DEBUG", "/mdm/src/cli/main.ts"]
CMD ["--help"]
