"""Sound of the moment shown, played by the computer's loudspeaker."""

from __future__ import annotations

import numpy as np
import pygame

from sim.viewer.contract.moment import Sound


class SoundPlayer:
    """Player of one sound at a time; the audio device is opened by the first one."""

    def __init__(self) -> None:
        self._channel: pygame.mixer.Channel | None = None
        self._rate = 0  # of the open device; 0 without one

    @property
    def playing(self) -> bool:
        """Whether a sound is being played."""
        return self._channel is not None and self._channel.get_busy()

    def play(self, sound: Sound) -> None:
        """Play a sound from its beginning, in the place of another one.

        Raises:
            pygame.error: without an audio device.
        """
        self.stop()
        if self._rate != sound.rate:
            self.close()
            # No other format is taken from the device: SDL converts.
            pygame.mixer.init(frequency=sound.rate, size=-16, channels=1, allowedchanges=0)
            self._rate = sound.rate
        self._channel = pygame.mixer.Sound(buffer=np.asarray(sound.samples, np.int16).tobytes()).play()

    def stop(self) -> None:
        """Stop the sound, if one is played."""
        if self._channel is not None:
            self._channel.stop()
            self._channel = None

    def close(self) -> None:
        """Stop, and release the audio device."""
        self.stop()
        if self._rate:
            pygame.mixer.quit()
            self._rate = 0
