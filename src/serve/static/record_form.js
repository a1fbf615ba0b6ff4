"use strict";

const form = document.getElementById("form");
const status_ = document.getElementById("status");

function complain(words) {
  status_.textContent = words;
  status_.classList.toggle("wrong", Boolean(words));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answers = Object.fromEntries(new FormData(form));
  answers.consent = form.elements.consent.checked;
  complain("");
  const button = form.querySelector("button");
  button.disabled = true; // a second click would begin a session that nobody goes on with
  try {
    const response = await fetch("/sessions", { method: "POST", body: JSON.stringify(answers), headers: { "Content-Type": "application/json" } });
    const answer = await response.json();
    if (response.ok) return location.assign(answer.link);
    complain(answer.error ?? "The server did not understand that.");
  } catch {
    complain("The server cannot be reached; is it still running?");
  }
  button.disabled = false;
  button.focus(); // a button that is disabled loses it
});
