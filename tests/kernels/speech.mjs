// Something to be said into the microphones of pages: no tone, which browsers take for noise, and no beeps, which nobody takes for
// speech.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SAMPLES_PER_SECOND = 48_000;
const SECONDS = 4;
const HARMONICS = 12;

/**
 * The flags of a Chromium that hears speech without end in its microphone, and plays what it is sent while nobody is at it. The
 * speech is kept as long as the scope lasts.
 */
export async function withMicrophone(scope) {
  const directory = await mkdtemp(join(tmpdir(), "atoll-speech-"));
  scope.after(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, "speech.wav");
  await writeFile(file, wav(Int16Array.from({ length: SECONDS * SAMPLES_PER_SECOND }, (_, index) => sample(index))));
  return [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-audio-capture=${file}`,
    "--autoplay-policy=no-user-gesture-required",
  ];
}

/** A voice that rises and falls, four syllables a second. */
function sample(index) {
  const time = index / SAMPLES_PER_SECOND;
  // Whole periods within the four seconds, so that the end goes on as the beginning.
  const phase = 2 * Math.PI * (140 * time + 6 * Math.sin(2 * Math.PI * time));
  const voice = Array.from({ length: HARMONICS }, (_, harmonic) => Math.sin((harmonic + 1) * phase) / (harmonic + 1));
  const syllable = 0.55 + 0.45 * Math.sin(2 * Math.PI * 4 * time);
  return 9_000 * syllable * voice.reduce((sum, part) => sum + part);
}

/** A file of one channel. */
function wav(samples) {
  const data = Buffer.from(samples.buffer);
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + data.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(SAMPLES_PER_SECOND, 24);
  header.writeUInt32LE(2 * SAMPLES_PER_SECOND, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
}
