"use strict";

// One player for all sounds of a clip: it keeps its place when the sound is changed, and moves a cursor over the
// pictures, in which a click goes to that place. Without this script, each sound is a link: an audio element is made of it
// when it is first played, as a hundred of them take a browser a second to build.
// A clip is an element with data-seconds that holds the sounds, and pictures in [data-plays] if their axis is time.
let sounding = null; // the player that plays; all others are silent

function playerOf(clip) {
  const sounds = [...clip.querySelectorAll(".sounds a")], seconds = Number(clip.dataset.seconds);
  if (!sounds.length) return null;
  const bar = made("div", { className: "player" }), button = bar.appendChild(made("button", { type: "button" }));
  const seek = bar.appendChild(made("input", { type: "range", min: 0, max: seconds, step: "any", value: 0 }));
  const panels = clip.querySelector("[data-plays]"), cursor = panels?.appendChild(made("div", { className: "cursor", hidden: true }));
  let chosen = sounds[0], audio = null, place = 0, frame = 0; // audio: of the chosen sound, once it was played
  const players = new Map();
  seek.setAttribute("aria-label", "Place in the clip");

  const playing = () => audio !== null && !audio.paused && !audio.ended;

  function show() {
    const plays = playing();
    button.textContent = plays ? "❚❚" : "▶";
    button.setAttribute("aria-label", `${plays ? "Pause" : "Play"} ${chosen.getAttribute("aria-label")}`);
    seek.value = place;
    seek.setAttribute("aria-valuetext", `${place.toFixed(2)} of ${seconds.toFixed(2)} seconds`);
    if (cursor) [cursor.hidden, cursor.style.left] = [place === 0 && !plays, `${100 * place / seconds}%`];
  }

  function move() {
    if (!playing()) return show();
    place = audio.currentTime;
    show();
    frame = requestAnimationFrame(move);
  }

  function play() {
    if (sounding && sounding !== player) sounding.pause();
    sounding = player;
    if (place >= seconds - 0.01) place = 0;
    if (!players.has(chosen)) players.set(chosen, playerOfSound(chosen));
    audio = players.get(chosen);
    audio.currentTime = place;
    cancelAnimationFrame(frame);
    audio.play().then(move, show);
    show();
  }

  function playerOfSound(sound) {
    const player = made("audio", { src: sound.href, title: sound.title });
    player.addEventListener("ended", () => { place = 0; show(); });
    player.addEventListener("error", () => { // the next attempt begins anew
      players.delete(sound);
      player.remove();
      if (audio === player) audio = null;
      show();
    });
    sound.after(player);
    return player;
  }

  function pause() {
    audio?.pause();
    show();
  }

  function go(to) {
    place = Math.min(Math.max(to, 0), seconds);
    if (audio) audio.currentTime = place;
    show();
  }

  function choose(sound) {
    const plays = playing();
    if (plays) place = audio.currentTime;
    audio?.pause();
    [chosen, audio] = [sound, null];
    plays ? play() : show();
  }

  const choices = bar.appendChild(made("fieldset", {})), group = `sound-${++playerOf.count}`;
  choices.setAttribute("aria-label", "Sound");
  for (const sound of sounds) {
    const label = choices.appendChild(made("label", { title: sound.title }));
    const radio = label.appendChild(made("input", { type: "radio", name: group, checked: sound === chosen }));
    label.append(sound.dataset.name);
    radio.addEventListener("change", () => choose(sound));
  }
  button.addEventListener("click", () => playing() ? pause() : play());
  seek.addEventListener("input", () => go(Number(seek.value)));
  panels?.addEventListener("click", (event) => {
    const { left, width } = panels.getBoundingClientRect();
    go(seconds * (event.clientX - left) / width);
    if (!playing()) play();
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
