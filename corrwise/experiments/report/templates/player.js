"use strict";
// One clock plays every episode in view. The costs of an episode share one step, because they share start and goal:
// what is on screen side by side happened at the same time. Progress is in the DOM as data-step on each strip.
(() => {
  const FRAME_MS = 125; // eight control steps a second
  const REST = 8; // frames to rest on the last step before starting over
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  class Strip {
    constructor(figure) {
      this.figure = figure;
      this.steps = Number(figure.dataset.steps || 0);
      this.side = Number(figure.dataset.side || 0);
      this.crop = (figure.dataset.crop || "0 0 0 0").split(" ").map(Number); // left, top, width, height of what is shown
      this.distances = JSON.parse(figure.dataset.distances);
      this.canvases = [...figure.querySelectorAll("canvas")];
      this.head = figure.querySelector(".head");
      this.now = figure.querySelector(".now");
      this.image = null;
    }
    load() {
      if (this.image || !this.figure.dataset.sprite) return;
      this.image = new Image();
      this.image.onload = () => this.draw();
      this.image.onerror = () => this.figure.classList.add("broken");
      this.image.src = this.figure.dataset.sprite;
    }
    show(step) {
      this.step = Math.min(step, Math.max(this.steps - 1, 0)); // an episode that ended early rests on its last step
      this.figure.dataset.step = this.step;
      this.mark();
      this.draw();
    }
    mark() {
      if (!this.head) return;
      const last = Math.max(this.distances.length - 1, 1);
      const distance = this.distances[this.step];
      const known = typeof distance === "number";
      this.head.style.left = `${(100 * this.step) / last}%`;
      this.head.style.top = `${known ? 100 * (1 - distance / Number(this.figure.dataset.top)) : 100}%`;
      this.now.textContent = known ? distance.toFixed(Number(this.figure.dataset.decimals)) : "–";
    }
    draw() {
      if (!this.image || !this.image.complete || !this.image.naturalWidth) return;
      const s = this.side;
      const [x, y, w, h] = this.crop;
      this.canvases.forEach((canvas, row) => {
        canvas.getContext("2d").drawImage(this.image, this.step * s + x, row * s + y, w, h, 0, 0, w, h);
      });
      this.figure.dataset.drawn = this.step; // the image that is on the canvas, not only the step asked for
    }
  }

  class Episode {
    constructor(section) {
      this.section = section;
      this.strips = [...section.querySelectorAll(".strip")].map((figure) => new Strip(figure));
      this.steps = Number(section.dataset.steps);
      this.button = section.querySelector(".play");
      this.slider = section.querySelector("input[type=range]");
      this.clock = section.querySelector(".clock");
      this.step = this.rest = 0;
      this.playing = !calm;
      this.inView = false;
      if (!this.steps) return;
      this.button.addEventListener("click", () => this.play(!this.playing));
      this.slider.addEventListener("input", () => {
        this.play(false);
        this.seek(Number(this.slider.value));
      });
      section.addEventListener("pointerdown", (event) => this.scrub(event));
      section.addEventListener("pointermove", (event) => event.buttons === 1 && this.scrub(event));
      this.play(this.playing);
      this.seek(0);
    }
    scrub(event) { // the distance curves are sliders too
      const track = event.target.closest(".track");
      if (!track) return;
      const box = track.getBoundingClientRect();
      this.play(false);
      this.seek(Math.round(((event.clientX - box.left) / box.width) * this.steps));
    }
    show(inView) {
      this.inView = inView;
      if (inView) this.strips.forEach((strip) => strip.load());
    }
    play(on) {
      this.playing = on;
      this.section.classList.toggle("playing", on);
      if (this.button) this.button.setAttribute("aria-pressed", String(on));
    }
    seek(step) {
      this.step = Math.max(0, Math.min(step, this.steps - 1));
      this.section.dataset.step = this.step;
      this.slider.value = this.step;
      this.clock.textContent = `step ${this.step} of ${this.steps - 1}`;
      this.strips.forEach((strip) => strip.show(this.step));
    }
    tick() {
      if (!this.playing || !this.inView || !this.steps) return;
      if (this.step < this.steps - 1) this.seek(this.step + 1);
      else if (++this.rest > REST) {
        this.rest = 0;
        this.seek(0);
      }
    }
  }

  const episodes = [...document.querySelectorAll(".episode")].map((section) => new Episode(section));
  const bySection = new Map(episodes.map((episode) => [episode.section, episode]));
  const watcher = new IntersectionObserver(
    (entries) => entries.forEach((entry) => bySection.get(entry.target).show(entry.isIntersecting)),
    { rootMargin: "300px" }
  );
  episodes.forEach((episode) => watcher.observe(episode.section));
  episodes.slice(0, 1).forEach((episode) => episode.show(true)); // the first need not wait until it is noticed

  const buttons = [...document.querySelectorAll("button.all")];
  let running = !calm;
  const label = () => buttons.forEach((button) => {
    button.textContent = running ? "Pause all" : "Play all";
    button.setAttribute("aria-pressed", String(running));
  });
  const toggle = () => {
    running = !running;
    episodes.forEach((episode) => episode.play(running));
    label();
  };
  buttons.forEach((button) => button.addEventListener("click", toggle));
  document.addEventListener("keydown", (event) => {
    if (event.code !== "Space" || event.target.closest("button, summary, a, textarea")) return;
    event.preventDefault();
    toggle();
  });
  label();
  setInterval(() => episodes.forEach((episode) => episode.tick()), FRAME_MS);
})();
