// Loaded in the head and blocking, so that a page whose theme was toggled never flashes the other one.
try {
  const theme = localStorage.getItem("puna.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // The browser's storage is forbidden: the system's theme.
}
