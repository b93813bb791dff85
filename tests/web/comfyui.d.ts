// The parts of ComfyUI's page that web/js uses, for the type checker.

declare module "*/scripts/api.js" {
    interface PromptData {
        output: object;
        workflow?: import("*/scripts/app.js").StoredWorkflow;
    }

    export const api: {
        apiURL(route: string): string;
        fetchApi(route: string, options?: RequestInit): Promise<Response>;
        queuePrompt(number: number, data: PromptData, ...others: unknown[]): Promise<{ prompt_id?: string }>;
        addEventListener(type: string, listener: (event: CustomEvent) => void): void;
    };
}

declare module "*/scripts/app.js" {
    export interface Widget {
        name: string;
        value: unknown;
        serialize?: boolean;
        callback?: (value: unknown) => void;
    }

    export interface DOMWidget extends Widget {
        element: HTMLElement;
    }

    export interface Graph {
        id?: string;
        isRootGraph: boolean;
        rootGraph: Graph;
        subgraphs: Map<string | undefined, Graph>;
        getNodeById(id: number | string): GraphNode | null;
        setDirtyCanvas(foreground: boolean, background: boolean): void;
        change(): void;
        serialize(): StoredWorkflow;
    }

    export interface StoredNode {
        id: number | string;
        type: string;
        mode: number;
        widgets_values?: unknown;
    }

    interface StoredGraph {
        nodes?: StoredNode[];
        links?: unknown[];
    }

    export interface StoredWorkflow extends StoredGraph {
        id?: string;
        definitions?: { subgraphs?: StoredGraph[] };
    }

    export interface GraphNode {
        constructor: Function & { comfyClass?: string };
        id: number | string;
        graph: Graph | null;
        subgraph?: Graph;
        properties: Record<string, unknown>;
        widgets: Widget[];
        size: number[];
        serialize_widgets: boolean;
        computeSize(): number[];
        setSize(size: number[]): void;
        configure(stored: { widgets_values?: unknown }): void;
        addDOMWidget(name: string, type: string, element: HTMLElement, options: DOMWidgetOptions): DOMWidget;
    }

    export interface DOMWidgetOptions {
        getValue(): string;
        setValue(value: string): void;
        getMinHeight(): number;
        hideOnZoom: boolean;
        hideInPanel: boolean;
        serialize?: boolean;
    }

    export interface OutputFile {
        filename: string;
        subfolder: string;
        type: string;
    }

    export interface NodeOutput {
        stag4d_clip?: OutputFile[];
        stag4d_clip_b?: OutputFile[];
        stag4d_files?: OutputFile[];
        stag4d_warnings?: string[];
        text?: string[];
    }

    /** The state of a workflow; which methods there are depends on the frontend's version. */
    interface ChangeTracker {
        captureCanvasState?(): void;
        checkState?(): void;
        squashState?(): void;
    }

    export interface Workflow {
        path: string;
        changeTracker?: ChangeTracker | null;
    }

    interface Extension {
        name: string;
        beforeRegisterNodeDef?(nodeType: { prototype: GraphNode }, definition: { name: string }): void;
        getCustomWidgets?(): Record<string, (node: GraphNode, name: string) => { widget: Widget }>;
        nodeCreated?(node: GraphNode): void;
        setup?(): void;
        afterConfigureGraph?(): void;
        onNodeOutputsUpdated?(outputs: Record<string, NodeOutput | undefined>): void;
    }

    export type CanvasHandler =
        "processMouseWheel" | "processMouseDown" | "processMouseMove" | "processMouseUp";

    export const app: {
        canvas: Record<CanvasHandler, (event: Event) => void>;
        graphToPrompt(): Promise<{ workflow: object; output: object }>;
        rootGraph?: Graph;
        graph: Graph;
        extensionManager: { workflow: { activeWorkflow?: Workflow; openWorkflows?: Workflow[] } };
        registerExtension(extension: Extension): void;
    };
}

interface Window {
    LiteGraph: { vueNodesMode?: boolean };
}
