import { h, render } from "preact";
import { start } from "./actions.js";
import { App } from "./views.js";

start(() => render(h(App), document.getElementById("app")));
