"use strict";

// Returns a WAV file, 16 bit and mono, of blocks of samples in [-1, 1]. It has the device's rate; the server resamples.
function wavOf(blocks, rate) {
  const length = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * length));
  const text = (offset, words) => [...words].forEach((letter, place) => view.setUint8(offset + place, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * length, true);
  let offset = 44;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(offset, Math.max(-1, Math.min(1, sample)) * 32767, true);
      offset += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

// Why there is no microphone, and what to do instead.
function withoutMicrophone(error, otherwise) {
  if (!window.isSecureContext) return `Browsers allow the microphone only to HTTPS pages and to pages of this machine; ${otherwise}.`;
  if (error.name === "NotAllowedError") return `The browser did not allow the microphone; allow it, or ${otherwise}.`;
  return `There is no microphone; connect one, or ${otherwise}.`;
}

// Opens the microphone, and calls `heard` with the peak of each block. end() returns what came since begin() as WAV.
async function openMicrophone(heard) {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule("/static/blocks.js");
  } catch (error) {
    for (const track of stream.getTracks()) track.stop();
    throw error;
  }
  const node = new AudioWorkletNode(context, "blocks", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  let blocks = null;
  node.port.onmessage = ({ data }) => {
    blocks?.push(data);
    heard(data.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0));
  };
  const source = context.createMediaStreamSource(stream);
  source.connect(node);
  return {
    begin() { blocks = []; },
    end() {
      const own = blocks;
      blocks = null;
      return wavOf(own, context.sampleRate);
    },
    async close() {
      source.disconnect();
      for (const track of stream.getTracks()) track.stop();
      await context.close();
    },
  };
}

// Records until `stop` is called, which resolves to the WAV file.
async function record(heard) {
  const microphone = await openMicrophone(heard);
  microphone.begin();
  return {
    async stop() {
      await microphone.close();
      return microphone.end();
    },
  };
}
