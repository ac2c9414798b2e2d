;;; devsynth.el --- Ask a local model, through devsynthd  -*- lexical-binding: t; -*-

;; Author: the authors of devsynthd
;; Version: 0.1.0
;; Package-Requires: ((emacs "27.1"))
;; Keywords: convenience, tools
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; Answers of the models in LM Studio, or of another server that devsynthd talks to:
;;
;; - `devsynth-ask' and `devsynth-ask-region': the answer comes into a buffer of its own
;; - `devsynth-complete': writes at point what belongs there
;; - `devsynth-cancel': stops what is coming into this buffer, or everything
;; - `devsynth-select-model': chooses the model that answers from now on
;;
;; To set it up, with devsynthd running and devsynthctl in `exec-path':
;;
;;   (add-to-list 'load-path "/path/to/examples/emacs")
;;   (require 'devsynth)
;;   (global-set-key (kbd "C-c d c") #'devsynth-complete)
;;
;; Nothing waits: text comes in while you go on, as one step for `undo'.  To undo or delete it while
;; it comes, or to kill its buffer, stops the model.
;;
;; `devsynth-complete' sends what is before point and what follows it, and the model fills the gap.
;; LM Studio cannot do that; then you are told so, once, and the model goes on from the text before
;; point.  With `devsynth-use-suffix' set to nil it never sees what follows.

;;; Code:

(require 'cl-lib)
(require 'subr-x)

(defgroup devsynth nil
  "Answers of a local model, through devsynthd."
  :group 'tools
  :prefix "devsynth-")

(defcustom devsynth-command '("devsynthctl" "pipe")
  "Command that passes requests on to devsynthd, as a list of words."
  :type '(repeat string))

(defcustom devsynth-model nil
  "Id of the model that answers; nil is the one that devsynthd chooses."
  :type '(choice (const :tag "The daemon's choice" nil) string))

(defcustom devsynth-use-suffix t
  "Whether `devsynth-complete' tells the model what follows point."
  :type 'boolean)

(defcustom devsynth-chars-before 8000
  "How many characters before point `devsynth-complete' sends at most."
  :type 'integer)

(defcustom devsynth-chars-after 4000
  "How many characters after point `devsynth-complete' sends at most."
  :type 'integer)

(defcustom devsynth-complete-max-tokens 256
  "How many tokens `devsynth-complete' writes at most."
  :type 'integer)

;;;; The pipe: a line out is a request, a line in is a reply, a JSON object each

(defvar devsynth--process nil
  "The process of `devsynth-command'.
Its properties: `handlers', a table from the ids of requests to functions;
`rest', the start of a line whose end has not come; `said', the last line
that was no reply; `fills-no-gap', what `devsynth--no-gaps-p' looks at.")

(defvar devsynth--last-id 0
  "Id of the request before.")

(defun devsynth--live-process ()
  "Return the process, started if it does not run."
  (unless (process-live-p devsynth--process)
    (unless (fboundp 'json-parse-string)
      (user-error "Devsynth needs an Emacs with native JSON"))
    (let ((default-directory (expand-file-name "~/")))
      (condition-case problem
          (setq devsynth--process
                (make-process :name "devsynth" :command devsynth-command
                              :connection-type 'pipe :coding 'utf-8-unix :noquery t
                              :filter #'devsynth--filter :sentinel #'devsynth--sentinel))
        (file-error
         (user-error "%s: is %s installed, and in `exec-path'?"
                     (error-message-string problem) (car devsynth-command)))))
    (process-put devsynth--process 'handlers (make-hash-table)))
  devsynth--process)

(defun devsynth--ask (handler &rest fields)
  "Send a request with FIELDS, a plist, and return its id.
HANDLER is called with the type of each reply, a string, and the reply,
a plist.  The last one has the type \"result\" or \"error\"; then the second
argument is the result or the error itself."
  (let* ((id (cl-incf devsynth--last-id))
         (json (devsynth--json (cl-list* :id id :client "devsynth.el" fields)))
         (process (devsynth--live-process)))
    (puthash id handler (process-get process 'handlers))
    (process-send-string process (concat json "\n"))
    id))

(defconst devsynth--max-bytes (* 32 1024 1024)
  "How many bytes the daemon takes of one request.")

(defun devsynth--json (plist)
  "Return PLIST as JSON."
  (let ((json (condition-case nil
                  (json-serialize plist)
                (wrong-type-argument
                 (user-error "This text cannot be sent: not all of it is Unicode")))))
    (when (> (string-bytes json) devsynth--max-bytes)
      (user-error "This text is too long to be sent"))
    json))

(defun devsynth--filter (process output)
  "Take OUTPUT of PROCESS, which begins and ends anywhere in a line."
  (let ((lines (split-string (concat (process-get process 'rest) output) "\n")))
    (process-put process 'rest (car (last lines)))
    (dolist (line (butlast lines))
      (with-demoted-errors "devsynth: %S" ; whatever it is, the next line has its turn
        (if (string-prefix-p "{" line)
            (devsynth--take process line)
          (process-put process 'said line))))))

(defun devsynth--take (process line)
  "Hand the reply in LINE on to whom it is for in PROCESS."
  (let* ((reply (json-parse-string line :object-type 'plist :array-type 'list
                                   :null-object nil :false-object nil))
         (type (plist-get reply :type))
         (handlers (process-get process 'handlers))
         (handler (gethash (plist-get reply :id) handlers #'ignore)))
    (pcase type
      ((or "result" "error")
       (remhash (plist-get reply :id) handlers)
       (funcall handler type (plist-get reply (if (equal type "result") :result :error))))
      (_ (funcall handler type reply)))))

(defun devsynth--sentinel (process change)
  "Fail all requests to PROCESS if it has ended, by CHANGE."
  (unless (process-live-p process)
    (let ((handlers (process-get process 'handlers))
          (failure (list :code "connection_lost"
                         :message (format "%s: %s" (string-join (process-command process) " ")
                                          (string-trim change))
                         :hint (process-get process 'said))))
      (process-put process 'handlers (make-hash-table))
      (maphash (lambda (_ handler)
                 (with-demoted-errors "devsynth: %S"
                   (funcall handler "error" failure)))
               handlers))))

;;;; What is told in the echo area

(defun devsynth--tell-error (failure)
  "Show FAILURE, an error of the protocol."
  (if (equal (plist-get failure :code) "cancelled")
      (message "devsynth: cancelled")
    (message "devsynth: %s" (string-join (delq nil (list (plist-get failure :message)
                                                        (plist-get failure :hint)))
                                         " - "))))

(defun devsynth--tell-warnings (result)
  "Show the warnings of RESULT."
  (dolist (warning (plist-get result :warnings))
    (message "devsynth: %s" (plist-get warning :message))))

;;;; Answers that are written into a buffer as they come

(cl-defstruct (devsynth--writer (:constructor devsynth--new-writer))
  "A place that text is written to: from START to END, which are markers.
ENTRY is the record of the text for `undo', nil before there is any."
  start end entry)

(defun devsynth--writer-at (position)
  "Return a writer at POSITION of this buffer."
  (devsynth--new-writer :start (copy-marker position) :end (copy-marker position t)))

(defun devsynth--write (writer text)
  "Have WRITER write TEXT, and return non-nil.
Return nil if that makes no sense any more: the buffer is gone or read-only,
or what was written before is undone or deleted."
  (let* ((start (devsynth--writer-start writer))
         (end (devsynth--writer-end writer))
         (buffer (marker-buffer end)))
    (when (and buffer
               (not (buffer-local-value 'buffer-read-only buffer))
               (or (null (devsynth--writer-entry writer)) (< start end)))
      (with-current-buffer buffer
        (save-restriction
          (widen)
          (let ((followers (cl-remove-if-not (lambda (window) (= (window-point window) end))
                                             (get-buffer-window-list buffer nil t)))
                (follows (= (point) end)))
            (devsynth--join-undo (devsynth--writer-entry writer))
            (save-excursion
              (goto-char end)
              (insert text))
            (setf (devsynth--writer-entry writer)
                  (if (consp buffer-undo-list) (car buffer-undo-list) 'not-recorded))
            (when follows (goto-char end))
            (dolist (window followers) (set-window-point window end)))))
      t)))

(defun devsynth--join-undo (entry)
  "Have the next insertion join the undo step of ENTRY, if nothing came after."
  (if (and entry (consp buffer-undo-list)
           (null (car buffer-undo-list)) (eq (cadr buffer-undo-list) entry))
      (pop buffer-undo-list)
    (unless (and entry (eq (car-safe buffer-undo-list) entry))
      (undo-boundary))))

(defvar devsynth--running nil
  "Alist from the ids of answers under way to the buffers that they go to.")

(defun devsynth--generate (writer on-error &rest fields)
  "Have WRITER write the answer to the question in FIELDS, a plist.
ON-ERROR is called with what failed, while WRITER still has its place."
  (let ((buffer (marker-buffer (devsynth--writer-end writer)))
        id forget)
    (setq id
          (apply
           #'devsynth--ask
           (lambda (type value)
             (pcase type
               ("chunk"
                (when-let* ((text (plist-get value :text)))
                  (when (and (assq id devsynth--running) (not (devsynth--write writer text)))
                    (devsynth--cancel id))))
               ("result" (funcall forget) (devsynth--tell-warnings value))
               ("error" (unwind-protect (funcall on-error value)
                          (funcall forget)))))
           :op "generate" :stream t
           (append (and devsynth-model (list :model devsynth-model)) fields)))
    (let ((killed (lambda () (devsynth--cancel id))))
      (setq forget
            (lambda ()
              (setq devsynth--running (assq-delete-all id devsynth--running))
              (when (buffer-live-p buffer)
                (with-current-buffer buffer (remove-hook 'kill-buffer-hook killed t)))
              (set-marker (devsynth--writer-start writer) nil)
              (set-marker (devsynth--writer-end writer) nil)))
      (push (cons id buffer) devsynth--running)
      ;; Nobody reads on in a buffer that is killed: the model need not go on either.
      (with-current-buffer buffer (add-hook 'kill-buffer-hook killed nil t)))))

(defun devsynth--cancel (id)
  "Stop the answer ID, which ends with the error \"cancelled\" then."
  (setq devsynth--running (assq-delete-all id devsynth--running))
  (devsynth--ask #'ignore :op "cancel" :target id))

;;;; Commands

;;;###autoload
(defun devsynth-ask (question)
  "Ask QUESTION; the answer comes into a buffer of its own."
  (interactive "sAsk: ")
  (let ((buffer (generate-new-buffer "*devsynth*")))
    (condition-case problem
        (with-current-buffer buffer
          (setq-local word-wrap t)
          (devsynth--generate (devsynth--writer-at (point)) #'devsynth--tell-error
                              :prompt question))
      (error (kill-buffer buffer)
             (signal (car problem) (cdr problem))))
    (display-buffer buffer)))

;;;###autoload
(defun devsynth-ask-region (begin end question)
  "Ask QUESTION about the text from BEGIN to END, which in a command is the region."
  (interactive "r\nsAsk about the region: ")
  (devsynth-ask (format "%s\n\n```\n%s\n```" question
                        (string-trim-right (buffer-substring-no-properties begin end) "\n"))))

;;;###autoload
(defun devsynth-complete ()
  "Write at point what belongs there, as it comes."
  (interactive)
  (barf-if-buffer-read-only)
  (let* ((here (point))
         (before (buffer-substring-no-properties
                  (max (point-min) (- here devsynth-chars-before)) here))
         (after (buffer-substring-no-properties
                 here (min (point-max) (+ here devsynth-chars-after))))
         ;; With nothing after point there is no gap, only an end to go on from.
         (gap (and devsynth-use-suffix (not (devsynth--no-gaps-p))
                   (string-match-p "[^ \t\r\n]" after)))
         (question (list :raw t :prompt before :max_tokens devsynth-complete-max-tokens))
         (writer (devsynth--writer-at here)))
    (apply #'devsynth--generate
           writer
           (lambda (failure)
             (if (not (and gap (equal (plist-get failure :code) "not_supported")))
                 (devsynth--tell-error failure)
               (process-put devsynth--process 'fills-no-gap (list devsynth-model))
               (message "devsynth: %s - only the text before point is used"
                        (plist-get failure :message))
               (when-let* ((end (devsynth--writer-end writer))
                           (buffer (marker-buffer end)))
                 (with-current-buffer buffer
                   (apply #'devsynth--generate (devsynth--writer-at end)
                          #'devsynth--tell-error question)))))
           (append question (and gap (list :suffix after))))))

(defun devsynth--no-gaps-p ()
  "Return non-nil if it is known that the server cannot fill a gap.
That is found out for a process and a model: another one may, after all."
  (and (process-live-p devsynth--process)
       (equal (process-get devsynth--process 'fills-no-gap) (list devsynth-model))))

;;;###autoload
(defun devsynth-cancel (&optional all)
  "Stop the answers that come into this buffer.
If there are none, or with ALL, stop those of every buffer."
  (interactive "P")
  (let* ((everything (mapcar #'car devsynth--running))
         (here (cl-remove-if-not
                (lambda (id) (eq (cdr (assq id devsynth--running)) (current-buffer)))
                everything)))
    (unless everything (message "devsynth: nothing is coming"))
    (mapc #'devsynth--cancel (if all everything (or here everything)))))

;;;###autoload
(defun devsynth-select-model (&optional model)
  "Have MODEL answer from now on; without it, list the models and ask."
  (interactive)
  (if model
      (devsynth--ask
       (lambda (type value)
         (pcase type
           ("result" (let ((selection (plist-get value :selection)))
                       (process-put devsynth--process 'fills-no-gap nil)
                       (message "devsynth: %s answers (%s)" (plist-get selection :model)
                                (plist-get selection :how)))
            (devsynth--tell-warnings value))
           ("error" (devsynth--tell-error value))))
       :op "select" :model model)
    (devsynth--ask
     (lambda (type value)
       (pcase type
         ;; By a timer: a question has no place in the filter of a process.
         ("result" (run-at-time 0 nil #'devsynth--choose value))
         ("error" (devsynth--tell-error value))))
     :op "list" :kind "llm")))

(defun devsynth--choose (listing)
  "Ask which model of LISTING answers, and select it."
  (devsynth--tell-warnings listing)
  (let ((ids (mapcar (lambda (model) (plist-get model :id)) (plist-get listing :models)))
        (selected (plist-get (plist-get listing :selection) :model)))
    (devsynth-select-model (completing-read "Which model answers? " ids nil t nil nil selected))))

(provide 'devsynth)
;;; devsynth.el ends here
