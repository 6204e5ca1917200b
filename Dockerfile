FROM denoland/deno:debian-2.9.6

# Mesa's software Vulkan driver, and the loader that finds a GPU's own driver where one is mounted.
RUN apt-get update \
  && apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o deno /mdm /out

# The user has no home, and Mesa keeps compiled shaders.
ENV XDG_CACHE_HOME=/tmp/cache
USER deno
WORKDIR /mdm
COPY --chown=deno deno.json deno.lock ./
RUN deno install --frozen
COPY --chown=deno . .
RUN deno cache src/cli/main.ts

# Pictures go here: docker run -v "$PWD:/out" mdm generate "a red circle on a blue background"
WORKDIR /out
ENTRYPOINT ["deno", "run", "--cached-only", "--no-prompt", "--config=/mdm/deno.json", "--allow-read", "--allow-write", "--allow-env=XDG_RUNTIME_DIR,LP_NATIVE_VECTOR_WIDTH,MDM_DEBUG", "/mdm/src/cli/main.ts"]
CMD ["--help"]
