"use strict";

// One player for all sounds of a clip: it keeps its place when the sound is changed, and moves a cursor over the
// pictures, in which a click goes to that place. Without this script, each sound has controls of its own.
// A clip is an element with data-seconds that holds the sounds, and pictures in [data-plays] if their axis is time.
let sounding = null; // the player that plays; all others are silent

function playerOf(clip) {
  const sounds = [...clip.querySelectorAll("audio")], seconds = Number(clip.dataset.seconds);
  if (!sounds.length) return null;
  const bar = made("div", { className: "player" }), button = bar.appendChild(made("button", { type: "button" }));
  const seek = bar.appendChild(made("input", { type: "range", min: 0, max: seconds, step: "any", value: 0 }));
  const panels = clip.querySelector("[data-plays]"), cursor = panels?.appendChild(made("div", { className: "cursor", hidden: true }));
  let current = sounds[0], place = 0, frame = 0;
  seek.setAttribute("aria-label", "Place in the clip");

  function show() {
    const plays = !current.paused && !current.ended;
    button.textContent = plays ? "❚❚" : "▶";
    button.setAttribute("aria-label", `${plays ? "Pause" : "Play"} ${current.getAttribute("aria-label")}`);
    seek.value = place;
    seek.setAttribute("aria-valuetext", `${place.toFixed(2)} of ${seconds.toFixed(2)} seconds`);
    if (cursor) [cursor.hidden, cursor.style.left] = [place === 0 && !plays, `${100 * place / seconds}%`];
  }

  function move() {
    if (current.paused) return show();
    place = current.currentTime;
    show();
    frame = requestAnimationFrame(move);
  }

  function play() {
    if (sounding && sounding !== player) sounding.pause();
    sounding = player;
    if (place >= seconds - 0.01) place = 0;
    current.currentTime = place;
    cancelAnimationFrame(frame);
    current.play().then(move, show);
    show();
  }

  function pause() {
    current.pause();
    show();
  }

  function go(to) {
    place = Math.min(Math.max(to, 0), seconds);
    current.currentTime = place;
    show();
  }

  function choose(sound) {
    const plays = !current.paused;
    if (plays) place = current.currentTime;
    current.pause();
    current = sound;
    plays ? play() : show();
  }

  const choices = bar.appendChild(made("fieldset", {})), group = `sound-${++playerOf.count}`;
  choices.setAttribute("aria-label", "Sound");
  for (const sound of sounds) {
    const label = choices.appendChild(made("label", { title: sound.title }));
    const radio = label.appendChild(made("input", { type: "radio", name: group, checked: sound === current }));
    label.append(sound.dataset.name);
    radio.addEventListener("change", () => choose(sound));
    sound.addEventListener("ended", () => { place = 0; show(); });
  }
  button.addEventListener("click", () => current.paused ? play() : pause());
  seek.addEventListener("input", () => go(Number(seek.value)));
  panels?.addEventListener("click", (event) => {
    const { left, width } = panels.getBoundingClientRect();
    go(seconds * (event.clientX - left) / width);
    if (current.paused) play();
  });
  const fallback = clip.querySelector(".sounds");
  fallback.hidden = true;
  fallback.before(bar);
  const player = { pause, play };
  show();
  return player;
}
playerOf.count = 0;

function made(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
