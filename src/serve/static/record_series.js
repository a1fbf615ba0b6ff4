"use strict";

const MOST_TIME = 29000; // milliseconds: the server takes half a minute
let recorder = null; // while a recording runs
let opening = false; // while the browser asks for the microphone
let series = null; // the recording that was cut

async function recordSeries() {
  if (recorder) return stopSeries();
  if (opening) return; // a second microphone would stay open
  say("");
  opening = part("open").disabled = true;
  try {
    recorder = await record(() => {});
  } catch (error) {
    return say(withoutMicrophone(error, "choose a file"), true);
  } finally {
    opening = part("open").disabled = false;
  }
  part("record").textContent = "Stop";
  part("record").setAttribute("aria-pressed", "true");
  const own = recorder;
  setTimeout(() => { if (recorder === own) stopSeries(); }, MOST_TIME);
}

async function stopSeries(isWanted = true) {
  const own = recorder;
  recorder = null;
  part("record").textContent = "Record them";
  part("record").setAttribute("aria-pressed", "false");
  const recording = await own.stop();
  if (isWanted) cutSeries(recording);
}

async function cutSeries(recording) {
  say("The recording is being cut …");
  part("keep_pieces").disabled = true;
  const pieces = await sent("/series", recording);
  part("keep_pieces").disabled = false;
  if (!pieces) return;
  series = recording; // only now: what is kept is what is shown
  part("pieces").replaceChildren(...pieces.map(pieceOf));
  part("keep_pieces").hidden = false;
  say(`${pieces.length === 1 ? "One piece was" : `${pieces.length} pieces were`} found. Listen, and say which word each is; drop a piece that is no word.`);
}

function pieceOf(piece, number) {
  const item = part("piece").content.firstElementChild.cloneNode(true);
  const player = item.querySelector("audio"), choice = item.querySelector("select");
  draw(piece, item.querySelector("svg"), player);
  player.setAttribute("aria-label", `Piece ${number + 1}`);
  item.querySelector("p").textContent = piece.advice;
  item.dataset.piece = number;
  choice.add(new Option("no word: drop it", ""));
  state.next.forEach(({ place, word }, later) => choice.add(new Option(`${word} (no. ${later + 1} of the series)`, place)));
  choice.selectedIndex = number < state.next.length ? number + 1 : 0;
  return item;
}

async function keepSeries() {
  const items = [...part("pieces").children].filter((item) => item.querySelector("select").value !== "");
  const places = items.map((item) => item.querySelector("select").value);
  if (new Set(places).size < places.length) return say("Two pieces are said to be the same word; drop one of them.", true);
  const buttons = ["keep_pieces", "open", "record", "file"].map(part);
  for (const button of buttons) button.disabled = true;
  let kept = 0;
  for (const [number, item] of items.entries()) {
    const answer = await sent(`/keep?place=${places[number]}&piece=${item.dataset.piece}`, series);
    if (!answer) break;
    item.remove();
    update(answer);
    kept++;
  }
  for (const button of buttons) button.disabled = false;
  if (kept < items.length) return;
  part("pieces").replaceChildren();
  part("keep_pieces").hidden = true;
  say(`${kept} words are kept.`);
}

part("record").addEventListener("click", recordSeries);
part("keep_pieces").addEventListener("click", keepSeries);
part("file").addEventListener("change", (event) => {
  if (event.target.files.length) cutSeries(event.target.files[0]);
  event.target.value = "";
});
