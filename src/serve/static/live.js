"use strict";

const LONGEST = 5000; // milliseconds of speech
const part = (id) => document.getElementById(id);
let recording = null; // the recorder, while it runs
let opening = false; // while the browser asks for the microphone
let sound = null; // the file that is explained
let asked = 0; // the number of the last request: a late answer must not replace a newer one

function say(words, isWrong = false) {
  part("status").textContent = words;
  part("status").classList.toggle("wrong", isWrong);
}

async function speak() {
  if (recording) return stop();
  if (opening) return; // a second microphone would stay open
  opening = true;
  try {
    recording = await record((peak) => { part("level").value = peak; });
  } catch (error) {
    return say(withoutMicrophone(error, "choose a file"), true);
  } finally {
    opening = false;
  }
  part("speak").textContent = "Stop";
  part("speak").setAttribute("aria-pressed", "true");
  part("level").hidden = false;
  sounding?.pause(); // or the microphone would hear it
  say("Listening. Say one word, then press Stop.");
  const own = recording;
  setTimeout(() => { if (recording === own) stop(); }, LONGEST);
}

async function stop() {
  const own = recording;
  recording = null;
  part("speak").textContent = "Speak";
  part("speak").setAttribute("aria-pressed", "false");
  part("level").hidden = true;
  sound = await own.stop();
  explain(true);
}

// Asks for an answer. Where the recording is new, the answer gets the focus; a visitor's choices keep it.
async function explain(isNew = false) {
  if (!sound) return;
  const number = ++asked;
  const options = new URLSearchParams();
  for (const select of document.querySelectorAll("#choices select")) options.set(select.name, select.value);
  say("The network is listening …");
  try {
    const response = await fetch(`/explain?${options}`, { method: "POST", body: sound, headers: { "Content-Type": "application/octet-stream" } });
    const answer = await response.json();
    if (number !== asked) return;
    if (!response.ok) sounding?.pause();
    part("answer").hidden = !response.ok; // an earlier answer would be taken for the one to this recording
    if (!response.ok) return say(answer.error ?? "The server did not understand that.", true);
    show(answer);
    if (isNew) part("verdict").focus({ preventScroll: true });
  } catch {
    if (number === asked) say("The server cannot be reached; is it still running?", true);
  }
}

function show(answer) {
  const target = answer.target === answer.prediction ? "" : `, explained as ${answer.target}`;
  part("verdict").textContent = `It hears: ${answer.prediction}${target}`;
  part("probabilities").hidden = !answer.probabilities.length; // a network may give a number
  part("probabilities").tBodies[0].replaceChildren(...answer.probabilities.map(([name, share]) => {
    const row = document.createElement("tr"), head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    head.textContent = name;
    const bar = row.insertCell().appendChild(document.createElement("progress"));
    bar.value = share;
    bar.setAttribute("aria-label", name);
    row.insertCell().textContent = share.toFixed(3);
    row.classList.toggle("named", answer.named.includes(name));
    return row;
  }));
  const clip = part("clip");
  clip.dataset.seconds = answer.length;
  clip.innerHTML = answer.clip; // pictures and sounds of the server's own making
  playerOf(clip);
  part("answer").hidden = false;
  const took = answer.seconds < 0.1 ? "less than 0.1" : answer.seconds.toFixed(1);
  say(`This took ${took} seconds.${answer.cut ? " The recording is longer than a clip: the network listened to its loudest part." : ""}`);
}

function take(files) {
  if (!files.length) return;
  sound = files[0];
  explain(true);
}

part("speak").addEventListener("click", speak);
part("file").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
part("choices").addEventListener("change", () => explain());
for (const name of ["dragover", "dragleave", "drop"]) {
  part("source").addEventListener(name, (event) => {
    event.preventDefault();
    part("source").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
