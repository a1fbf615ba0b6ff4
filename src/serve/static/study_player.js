"use strict";

// Makes a player with its name. While it plays, all others are silent. If there is an axis, the cursor moves over the
// picture from axis[0] to axis[1], shares of its width, and stays in sight where the picture is wider than the screen.
function playerOf(name, uri, cursor, axis) {
  const label = document.createElement("label"), player = document.createElement("audio");
  label.append(name, player);
  [player.controls, player.preload, player.src] = [true, "auto", uri];
  player.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== player) other.pause();
    if (axis?.length) follow(player, cursor, axis);
  });
  return label;
}

function follow(player, cursor, [start, stop]) {
  const frame = cursor.closest(".scroll");
  cursor.hidden = false;
  const move = () => {
    const passed = player.ended ? 1 : player.currentTime / player.duration || 0;
    cursor.style.left = `${100 * (start + (stop - start) * passed)}%`;
    frame.scrollLeft = cursor.offsetLeft - frame.clientWidth / 2;
    if (!player.paused) requestAnimationFrame(move);
  };
  move();
}
